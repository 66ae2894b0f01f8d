package pipeline

import (
	"fmt"
	"os"
)

// tempFile is a file that is in no directory: its room is free again when this
// process closes it or ends, however it ends. Nobody has to look for what
// workers left behind.
type tempFile struct{ *os.File }

// newTempFile makes an empty file on the file system of dir; "" is the
// system's directory for such.
func newTempFile(dir string) (tempFile, error) {
	f, err := os.CreateTemp(dir, "voiceassist-*")
	if err != nil {
		return tempFile{}, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return tempFile{}, err
	}
	return tempFile{f}, nil
}

// path is the name under which children open the file while it is open here.
func (f tempFile) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }
