package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKilledWithItsProgram: a process that is killed while it asks a program takes the program with it.
func TestKilledWithItsProgram(t *testing.T) {
	const variable = "TAME_TEST_ASKS"
	if pid := os.Getenv(variable); pid != "" { // the process that is killed
		_, _ = AskCommand([]string{"sh", "-c", `echo $$ > ` + pid + `; exec sleep 600`}, time.Hour)(t.Context(), two)
		t.Fatal("the program has ended")
	}
	pid := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWithItsProgram$")
	cmd.Env = append(os.Environ(), variable+"="+pid)
	require.NoError(t, cmd.Start())
	asked := assert.Eventually(t, func() bool { raw, _ := os.ReadFile(pid); return len(raw) > 0 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if asked {
		assertEnded(t, pid)
	}
}
