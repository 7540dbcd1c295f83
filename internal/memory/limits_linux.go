package memory

import (
	"os"

	"golang.org/x/sys/unix"
)

func limits() []Limit {
	all := []Limit{groupLimit(os.DirFS("/"))}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		all = append(all, Limit{bytes(uint64(info.Totalram) * uint64(info.Unit)), "the machine"})
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		all = append(all, Limit{bytes(limit.Cur), "ulimit -v"})
	}
	return all
}
