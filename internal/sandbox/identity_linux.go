package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settle gives a child in a new user namespace the identities that this process
// has, so that nothing looks different to it, and returns the network that it is
// in. It fails with a [setupError].
func (c *child) settle() (network string, err error) {
	if network, err = c.leftNamespace("net"); err != nil {
		return "", err
	}
	if _, err = c.leftNamespace("mnt"); err != nil {
		return "", err
	}
	groups := "deny"
	if os.Geteuid() == 0 && kernelSays("/proc/self/setgroups", "allow") {
		groups = "allow"
	}
	for _, f := range []struct{ name, content string }{
		{"uid_map", sameIDs("uid_map", os.Geteuid())},
		{"setgroups", groups}, // before gid_map (user_namespaces(7))
		{"gid_map", sameIDs("gid_map", os.Getegid())},
	} {
		if err := c.tell(f.name, f.content); err != nil {
			return "", &setupError{"make a user namespace", err}
		}
	}
	return network, nil
}

// tell writes a file of the process in /proc, which is done at once.
func (c *child) tell(name, content string) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", c.pid, name), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(content))
	return errors.Join(err, unix.Close(fd))
}

// sameIDs maps identities to themselves (user_namespaces(7)): for root all that
// there are, and for others, who may not, their own.
func sameIDs(name string, id int) string {
	own := fmt.Sprintf("%d %d 1\n", id, id)
	table, err := os.ReadFile("/proc/self/" + name)
	if os.Geteuid() != 0 || err != nil {
		return own
	}
	var all strings.Builder
	for line := range strings.Lines(string(table)) {
		columns := strings.Fields(line) // first inside, first outside, how many
		if len(columns) != 3 {
			return own
		}
		_, _ = fmt.Fprintln(&all, columns[0], columns[0], columns[2])
	}
	return all.String()
}

// leftNamespace returns the namespace of a kind that the process is in, and makes
// sure that nothing of this machine can be changed by what it does next.
func (c *child) leftNamespace(kind string) (string, error) {
	own, err := os.Readlink("/proc/self/ns/" + kind)
	if err != nil {
		return "", &setupError{"look at the namespaces of this process", err}
	}
	its, err := os.Readlink("/proc/" + strconv.Itoa(c.pid) + "/ns/" + kind)
	if err != nil {
		return "", &setupError{"look at the namespaces of the sandbox", err}
	}
	if own == its {
		return "", &setupError{"leave the namespaces of this machine", unix.EINVAL}
	}
	return its, nil
}
