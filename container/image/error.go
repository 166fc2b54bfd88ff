package image

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
)

// The reasons that a container waits for its image, in a kubelet's words.
const (
	ErrImagePull        = "ErrImagePull"
	ErrImageNeverPull   = "ErrImageNeverPull"
	InvalidImageName    = "InvalidImageName"
	ImageInspectError   = "ImageInspectError"
	RegistryUnavailable = "RegistryUnavailable"
)

// Error says why there is no image.
type Error struct {
	Reason  string // one of the reasons above
	Message string // one line, without credentials
	// Err is the cause. errdefs.IsNotFound, IsUnauthorized (who are you?),
	// IsPermissionDenied (not you) and IsUnavailable (no answer) tell causes apart.
	Err error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// pullError makes the error of a pull, from whatever part of containerd.
func pullError(ref, name string, err error) *Error {
	class, text := classify(err), brief(name, err)
	e := &Error{Reason: ErrImagePull, Err: err}
	if class != nil {
		e.Err = fmt.Errorf("%w (%w)", class, err)
	}
	if class == errdefs.ErrUnavailable {
		e.Reason = RegistryUnavailable
	}
	e.Message = fmt.Sprintf("pull %q: %s", ref, text)
	return e
}

// classify finds the class of an error about a registry, nil if it has none or
// says it in errdefs' way.
func classify(err error) error {
	if status, ok := errors.AsType[remoteerrors.ErrUnexpectedStatus](err); ok {
		return classOf(status.StatusCode)
	}
	switch {
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return errdefs.ErrUnauthenticated
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errdefs.ErrUnavailable
	case !errdefs.IsUnknown(err):
		return nil
	}
	for text := range strings.Lines(err.Error()) {
		if match := remoteText().FindStringSubmatch(text); match != nil {
			if status, err := strconv.Atoi(match[1]); err == nil {
				return classOf(status)
			}
			if match[2] != "" {
				return errdefs.ErrUnauthenticated
			}
			return errdefs.ErrUnavailable
		}
	}
	return nil
}

// later compiles an expression when it is needed, for the first time: most calls
// of podrun see no such error.
func later(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// remoteText is what is left of an error of the transfer service: gRPC carries
// neither HTTP's status nor errno, so that their text is all there is to go by.
var remoteText = later(`: (?:([45]\d\d) [A-Z][A-Za-z ]+|(authorization failed|no basic auth credentials)|connection refused|no route to host|network is unreachable|no such host|i/o timeout)\s*$`)

func classOf(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return errdefs.ErrUnauthenticated
	case status == http.StatusForbidden:
		return errdefs.ErrPermissionDenied
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return errdefs.ErrUnavailable
	}
	return nil
}

// noise is what containerd puts before the cause of a failed pull.
var noise = later(`^(rpc error: code = \w+ desc = |failed to resolve image: |failed to resolve reference "[^"]*": |failed to do request: |failed to copy: |unpack: )`)

// secrets are parts of a URL that may hold what is not to be shown: signed
// addresses, to which registries redirect.
var secrets = later(`(https?://)(?:[^/\s"@]*@)?([^\s"?]*)\?[^\s"]*`)

// brief gives an error's text as one line without what the reader knows already.
func brief(name string, err error) string {
	text := secrets().ReplaceAllString(err.Error(), "$1$2")
	text = strings.Join(strings.Fields(text), " ")
	for {
		shorter := strings.TrimPrefix(noise().ReplaceAllString(text, ""), name+": ")
		shorter = strings.TrimPrefix(shorter, fmt.Sprintf("image %q: ", name))
		if shorter == text {
			return text
		}
		text = shorter
	}
}
