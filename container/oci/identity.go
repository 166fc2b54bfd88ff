package oci

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Identity is who a container's process is to run as, before the accounts of
// the image were looked at.
type Identity struct {
	User string // a uid in decimal, or a name
	// Group is the primary one; nil for that of the user in the image.
	Group *uint32
	// Groups are given in addition.
	Groups []uint32
	// Strict says that the groups that the image has the user in are not.
	Strict bool
}

// ConfigError says that a container cannot be as its pod, what that is given and
// its image want it together. Its text is the kubelet's, as is its reason,
// CreateContainerConfigError.
type ConfigError struct{ Message string }

func (e *ConfigError) Error() string { return e.Message }

// IdentityOf returns who a container runs as: who its security context says,
// else its pod's, else the user of the image. Of that a kubelet uses the user
// and not the group. It fails with a ConfigError when the user may be root and
// must not be (kubelet: verifyRunAsNonRoot).
func IdentityOf(pod *v1.Pod, c *v1.Container, imageUser string) (Identity, error) {
	if err := CheckIDs(imageUser); err != nil {
		return Identity{}, err
	}
	own, pods := securityContext(c), podSecurityContext(pod)
	user := effective(own.RunAsUser, pods.RunAsUser)
	name, _, _ := strings.Cut(imageUser, ":")
	if isTrue(effective(own.RunAsNonRoot, pods.RunAsNonRoot)) {
		if why := maybeRoot(user, name); why != "" {
			return Identity{}, &ConfigError{fmt.Sprintf("%s (pod: %q, container: %s)", why,
				fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), c.Name)}
		}
	}
	identity := Identity{User: name, Groups: groups(pods)}
	switch {
	case user != nil:
		identity.User = strconv.FormatInt(*user, 10)
	case name == "":
		identity.User = "0"
	}
	if group := effective(own.RunAsGroup, pods.RunAsGroup); group != nil {
		identity.Group = new(uint32(*group))
	}
	identity.Strict = pods.SupplementalGroupsPolicy != nil && *pods.SupplementalGroupsPolicy == v1.SupplementalGroupsPolicyStrict
	return identity, nil
}

// maybeRoot says why a user cannot be told not to be root; "" when it can.
func maybeRoot(user *int64, image string) string {
	if user != nil {
		if *user == 0 {
			return "container's runAsUser breaks non-root policy"
		}
		return ""
	}
	uid, err := strconv.ParseInt(image, 10, 64)
	switch {
	case image == "", err == nil && uid == 0:
		return "container has runAsNonRoot and image will run as root"
	case err != nil:
		return fmt.Sprintf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", image)
	}
	return ""
}

// groups are those that a pod adds, the one of its volumes first.
func groups(sc *v1.PodSecurityContext) []uint32 {
	var gids []uint32
	if sc.FSGroup != nil {
		gids = append(gids, uint32(*sc.FSGroup))
	}
	for _, gid := range sc.SupplementalGroups {
		gids = append(gids, uint32(gid))
	}
	return gids
}

// pauseUser is who the pause process runs as: the pod's user, else that of the
// image if it is a number. There are no accounts in its image.
func pauseUser(pod *v1.Pod, image string) User {
	sc := podSecurityContext(pod)
	user := User{AdditionalGids: groups(sc)}
	uid, gid, _ := strings.Cut(image, ":")
	if sc.RunAsUser != nil {
		uid, gid = strconv.FormatInt(*sc.RunAsUser, 10), ""
	}
	if sc.RunAsGroup != nil {
		gid = strconv.FormatInt(*sc.RunAsGroup, 10)
	}
	if n, err := strconv.ParseInt(uid, 10, 32); err == nil && n >= 0 {
		user.UID = uint32(n)
	}
	if n, err := strconv.ParseInt(gid, 10, 32); err == nil && n >= 0 {
		user.GID = uint32(n)
	}
	return user
}

// CheckIDs refuses numbers in user[:group] that are no id: they must neither
// wrap around to root nor be taken for a name.
func CheckIDs(spec string) error {
	for part := range strings.SplitSeq(spec, ":") {
		if part == "" || strings.Trim(part, "+-0123456789") != "" {
			continue
		}
		if id, err := strconv.ParseInt(part, 10, 64); err != nil || id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("resolve user %q: %s is no user or group id", spec, part)
		}
	}
	return nil
}
