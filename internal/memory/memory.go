package memory

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Limit is how much memory there is for data.
type Limit struct {
	Bytes int    // 0 if it is not known
	Of    string // whose it is: "the machine", "the control group", "ulimit -v"
}

// Available is the smallest limit of this process.
func Available() Limit { return smallest(limits()) }

// Check is an error if so many bytes more do not fit. what is what takes them.
func Check(what string, need int64) error { return Available().check(what, need, inUse) }

// inUse are the bytes of data at hand, without garbage if exact.
func inUse(exact bool) int64 {
	if exact {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func (l Limit) check(what string, need int64, inUse func(exact bool) int64) error {
	if l.Bytes == 0 || need <= int64(l.Bytes)-inUse(false) {
		return nil
	}
	left := max(0, int64(l.Bytes)-inUse(true))
	if need <= left {
		return nil
	}
	const mib = 1 << 20
	return fmt.Errorf("%s take %.1f MiB of memory, and %s leaves %.1f", what, float64(need)/mib, l.Of, float64(left)/mib)
}

// Bound tells the runtime the limit, so that it collects garbage before that is reached and not after memory has doubled. A limit that the
// user has set by GOMEMLIMIT stays.
func Bound() {
	if l := Available(); l.Bytes > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(l.Bytes) / 16 * 15)
	}
}

func smallest(all []Limit) (least Limit) {
	for _, l := range all {
		if l.Bytes > 0 && (least.Bytes == 0 || l.Bytes < least.Bytes) {
			least = l
		}
	}
	return least
}

// bytes is a number of bytes that fits into an int, else 0.
func bytes(n uint64) int {
	if n > math.MaxInt {
		return 0
	}
	return int(n)
}

// groupLimit is the smallest limit of the control groups of this process, of version 1 or 2, and of
// those above them. root is the file system. In a container the group's own path is often not there:
// then the limit is at the top of the mount.
func groupLimit(root fs.FS) Limit {
	raw, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return Limit{}
	}
	var all []Limit
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "": // version 2
		case strings.Contains(","+parts[1]+",", ",memory,"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if raw, err := fs.ReadFile(root, path.Join(mount, at, file)); err == nil {
				n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64) // "max" is not a number
				if err == nil && n < 1<<62 {                                        // version 1 writes a huge number for none
					all = append(all, Limit{bytes(n), "the control group"})
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return smallest(all)
}
