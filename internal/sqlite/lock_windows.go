package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"github.com/oslcbus/oslcbus/oslc"
)

// lockFile takes a lock that ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, oslc.E("sqlite.lock", err, oslc.Unavailable)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, oslc.Errorf("sqlite.lock", oslc.Conflict,
				"%s is held: another process uses this data folder", path)
		}
		return nil, oslc.E("sqlite.lock", err, oslc.Unavailable)
	}
	return f, nil
}
