package memory

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Limit is how much memory there is.
type Limit struct {
	Bytes int    // 0 if it is not known
	Of    string // whose it is: "the machine", "the control group", "ulimit -v"
}

// Available is the smallest limit of this process.
func Available() Limit { return smallest(limits()) }

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
				n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64) // "max" is no number
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
