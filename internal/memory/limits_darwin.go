package memory

import "golang.org/x/sys/unix"

func limits() []Limit {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return nil
	}
	return []Limit{{bytes(n), "the machine"}}
}
