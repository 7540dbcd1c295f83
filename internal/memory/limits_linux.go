package memory

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// addressSpace are the bytes of it that the program takes besides its data: itself, what the runtime reserves for its tables (about 1.2 GiB,
// most of which no memory stands behind), and a piece in which the heap grows.
func addressSpace() int {
	const grows = 64 << 20
	raw, err := os.ReadFile("/proc/self/statm")
	var pages int
	if _, scan := fmt.Sscan(string(raw), &pages); err != nil || scan != nil {
		return 0
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return pages*os.Getpagesize() - int(stats.HeapSys) + grows
}

func limits() []Limit {
	all := []Limit{groupLimit(os.DirFS("/"))}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		all = append(all, Limit{bytes(uint64(info.Totalram) * uint64(info.Unit)), "the machine"})
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		all = append(all, Limit{max(1, bytes(limit.Cur)-addressSpace()), "ulimit -v"})
	}
	return all
}
