package memory

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestGroupLimit(t *testing.T) {
	const gib = 1 << 30
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"none":                {map[string]string{}, 0},
		"version 2":           {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1073741824\n"}, gib},
		"version 2 unlimited": {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 0},
		"the parent's": {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "3221225472\n",
			"sys/fs/cgroup/a/memory.max": "1073741824\n"}, gib},
		"a container's mount": {map[string]string{"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/memory.max": "1073741824"}, gib},
		"version 1": {map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/z\n4:memory:/job/7\n0::/\n",
			"sys/fs/cgroup/memory/job/7/memory.limit_in_bytes": "1073741824\n"}, gib},
		"version 1 unlimited": {map[string]string{"proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		assert.Equal(t, c.want, groupLimit(root).Bytes, name)
	}
}

func TestSmallest(t *testing.T) {
	assert.Equal(t, Limit{2, "b"}, smallest([]Limit{{3, "a"}, {0, "unknown"}, {2, "b"}}))
	assert.Zero(t, smallest(nil))
	assert.NotZero(t, Available().Bytes)
}

func TestCheck(t *testing.T) {
	const mib = 1 << 20
	garbage := func(exact bool) int64 { // 60 MiB in use, 40 of them garbage
		if exact {
			return 20 * mib
		}
		return 60 * mib
	}
	l := Limit{100 * mib, "the control group"}
	assert.NoError(t, l.check("weights", 40*mib, garbage))
	assert.NoError(t, l.check("weights", 80*mib, garbage), "the garbage is collected")
	assert.EqualError(t, l.check("weights", 81*mib, garbage), "weights take 81.0 MiB of memory, and the control group leaves 80.0")
	assert.EqualError(t, Limit{10 * mib, "ulimit -v"}.check("weights", 1*mib, garbage), "weights take 1.0 MiB of memory, and ulimit -v leaves 0.0")
	assert.NoError(t, Limit{}.check("weights", 1<<60, garbage))
	assert.Error(t, Check("weights", 1<<60))
}
