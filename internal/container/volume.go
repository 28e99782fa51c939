package container

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Volumes is the directory of the volumes that have a name and outlive containers:
//
//	<dir>/NAME/volume.json   what is known of it
//	<dir>/NAME/data          what containers see
//
// A volume is made beside its place and moved there, and moved away before it is removed, so it is there as a whole or not
// at all. Whoever uses volumes holds a shared lock of the directory until the runtime's ledger names them, whoever removes
// some holds it alone. All methods are safe for concurrent use, by several processes too.
type Volumes string

// ErrNoVolume is returned where no volume has the name, ErrVolumeThere by Create where one has it, ErrVolumeUsed by Remove where a
// container has the volume, running or not.
var (
	ErrNoVolume    = errors.New("no such volume")
	ErrVolumeThere = errors.New("the volume is there already")
	ErrVolumeUsed  = errors.New("the volume is in use; remove its containers first")
)

// NamedVolume is one volume.
type NamedVolume struct {
	Name      string
	Path      string // where its files are on this machine
	Created   time.Time
	Anonymous bool     // of a container that gave it no name
	UsedBy    []string // names of containers
}

// volumeFile is volume.json.
type volumeFile struct {
	Created   time.Time `json:"created"`
	Anonymous bool      `json:"anonymous,omitempty"`
}

// aside begins the names of what is being made or removed.
const aside = "."

var volumeForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

// CheckVolumeName refuses what cannot be a volume's name.
func CheckVolumeName(name string) error {
	if !volumeForm.MatchString(name) {
		return fmt.Errorf("volume name %q: must be 1 to 128 letters, digits, _, . or -, and begin with a letter or digit", name)
	}
	return nil
}

func (v Volumes) dir(name string) string  { return within(string(v), name) }
func (v Volumes) path(name string) string { return filepath.Join(v.dir(name), "data") }

// Create makes an empty volume. It returns ErrVolumeThere.
func (v Volumes) Create(name string) error {
	if err := CheckVolumeName(name); err != nil {
		return err
	}
	return v.create(name, false)
}

func (v Volumes) create(name string, anonymous bool) error {
	if err := os.MkdirAll(string(v), 0o711); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(string(v), aside+"new-")
	if err != nil {
		return err
	}
	raw, err := json.Marshal(volumeFile{Created: time.Now(), Anonymous: anonymous})
	if err == nil {
		err = errors.Join(os.Chmod(tmp, 0o711), os.Mkdir(filepath.Join(tmp, "data"), 0o755), writeSynced(filepath.Join(tmp, "volume.json"), raw))
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, v.dir(name), unix.RENAME_NOREPLACE)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(tmp))
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("volume %s: %w", name, ErrVolumeThere)
		}
		return fmt.Errorf("volume %s: %w", name, err)
	}
	return syncDir(string(v))
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// list reads all volumes, by name.
func (v Volumes) list() ([]NamedVolume, error) {
	entries, err := os.ReadDir(string(v))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []NamedVolume
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), aside) {
			continue
		}
		one, err := v.read(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (v Volumes) read(name string) (NamedVolume, error) {
	raw, err := os.ReadFile(filepath.Join(v.dir(name), "volume.json"))
	if err != nil {
		return NamedVolume{}, err
	}
	var f volumeFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return NamedVolume{}, fmt.Errorf("volume %s: %w", name, err)
	}
	return NamedVolume{Name: name, Path: v.path(name), Created: f.Created, Anonymous: f.Anonymous}, nil
}

// use makes the volumes that s names and that are missing, gives those without a name one, and says where they are. They
// are not removed before held is called.
func (v Volumes) use(ctx context.Context, s *Spec) (held func(), err error) {
	if !slices.ContainsFunc(s.Volumes, Volume.named) {
		return func() {}, nil
	}
	held, err = lockDir(ctx, string(v), unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	s.Volumes = slices.Clone(s.Volumes)
	for i := range s.Volumes {
		w := &s.Volumes[i]
		if !w.named() {
			continue
		}
		if w.Name == "" {
			w.Name = newVolumeName()
		}
		if err := v.create(w.Name, w.Anonymous); err != nil && !errors.Is(err, ErrVolumeThere) {
			held()
			return nil, err
		}
		w.Host = v.path(w.Name)
	}
	return held, nil
}

func newVolumeName() string {
	b := make([]byte, handleSize/2)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// remove removes a volume that nobody uses. The caller holds the lock.
func (v Volumes) remove(name string) error {
	if _, err := v.read(name); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNoVolume, name)
	} else if err != nil {
		return err
	}
	gone := filepath.Join(string(v), aside+"gone-"+newVolumeName())
	if err := os.Rename(v.dir(name), gone); err != nil {
		return err
	}
	if err := syncDir(string(v)); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// sweep removes what a kill has left half made or half removed. The caller holds the lock alone.
func (v Volumes) sweep() error {
	entries, err := os.ReadDir(string(v))
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), aside) {
			failed = append(failed, os.RemoveAll(filepath.Join(string(v), e.Name())))
		}
	}
	return errors.Join(failed...)
}
