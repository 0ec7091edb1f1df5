package fakeentra

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// A keyFolder is where Azure Arc's endpoint leaves the files that clients have to
// read. Clients refuse any other folder than the one that the agent has on their
// system, so that is where they go, unless a sandbox shows the client another
// folder in its place.
type keyFolder struct {
	mu     sync.Mutex
	shown  map[string]shownFolder // by host
	files  map[string]string      // what was made, by host and the path that clients know
	made   []string               // folders, parents first
	closed bool
}

// A shownFolder is one that clients know by another path.
type shownFolder struct{ write, seen string }

// agentFolder is where the agent keeps its key files (sources of all SDKs).
func agentFolder() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "AzureConnectedMachineAgent", "Tokens")
	}
	return "/var/opt/azcmagent/tokens"
}

// agentProgram is what SDKs take for the sign of an installed agent.
func agentProgram() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramFiles"), "AzureConnectedMachineAgent", "himds.exe")
	}
	return "/opt/azcmagent/bin/himds"
}

// ShowKeyFolder makes the key files of Azure Arc go to the folder write, which is
// there, because clients on h see it as seen: a sandbox binds it to
// /var/opt/azcmagent/tokens. Without it they go to that folder of this machine,
// which is made, and removed by Close, if it is not there.
func (h *Host) ShowKeyFolder(write, seen string) {
	k := h.cloud.keyFolder
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shown[h.name] = shownFolder{write, seen}
}

// Put makes a file that the user and the group of this process can read, as the
// agent's can be by its own.
func (k *keyFolder) Put(host, name string, key []byte) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return "", errClosed
	}
	folder, shown := k.shown[host]
	if !shown {
		folder = shownFolder{agentFolder(), agentFolder()}
		if err := k.prepare(folder.write); err != nil {
			return "", fmt.Errorf("clients look for key files of Azure Arc in %s alone, which is not to be had: %w; make it writable, or take a mode that gives programs a folder of their own: fakeentra run --mode netns", folder.write, err)
		}
	}
	file, err := create(folder.write, name, key)
	if errors.Is(err, fs.ErrNotExist) && !shown && k.prepare(folder.write) == nil { // the cloud that made it has ended
		file, err = create(folder.write, name, key)
	}
	if err != nil {
		return "", fmt.Errorf("cannot write a key file: %w", err)
	}
	path := filepath.Join(folder.seen, filepath.Base(file))
	k.files[host+"\x00"+path] = file
	return path, nil
}

// prepare makes the agent's folder. It fails where there is an agent.
func (k *keyFolder) prepare(folder string) error {
	if _, err := os.Stat(agentProgram()); err == nil {
		return fmt.Errorf("the agent %s is installed on this machine, and the folder is its own", agentProgram())
	}
	return k.make(folder)
}

// make makes a folder with its parents, and remembers those that were not there.
func (k *keyFolder) make(folder string) error {
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(folder); parent != folder {
		if err := k.make(parent); err != nil {
			return err
		}
	}
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrExist) { // another cloud was faster
		return nil
	}
	if err == nil {
		k.made = append(k.made, folder)
	}
	return err
}

// create makes a file of a new name. Clouds of the same seed propose the same.
func create(folder, name string, content []byte) (string, error) {
	path := filepath.Join(folder, name+".key")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		path = filepath.Join(folder, uuid.NewString()+".key")
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o640), f.Close()); err != nil { // whatever the umask is
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// Remove removes a file of Put.
func (k *keyFolder) Remove(host, path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = os.Remove(k.files[host+"\x00"+path]) // what is gone already is as good
	delete(k.files, host+"\x00"+path)
}

// close removes all files, and the folders that were made, unless others have put
// something in them.
func (k *keyFolder) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	var errs []error
	for _, file := range k.files {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	k.files = map[string]string{}
	for _, folder := range slices.Backward(k.made) {
		_ = os.Remove(folder) // fails while another cloud has files in it
	}
	k.made = nil
	return errors.Join(errs...)
}
