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
