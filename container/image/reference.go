package image

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// Normalize gives the name under which an image is stored: with its registry,
// and with a tag or a digest. A name with both keeps the digest only. The
// error is an *Error with reason InvalidImageName.
func Normalize(ref string) (string, error) {
	named, err := parse(ref)
	if err != nil {
		return "", err
	}
	return named.String(), nil
}

func parse(ref string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, &Error{
			Reason:  InvalidImageName,
			Message: fmt.Sprintf("parse image name %q: %v", ref, err),
			Err:     errors.Join(errdefs.ErrInvalidArgument, err),
		}
	}
	return named, nil
}
