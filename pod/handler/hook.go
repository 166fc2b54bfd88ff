package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// hookTimeout bounds a hook's request; a command may take as long as it takes.
const hookTimeout = time.Minute

// ErrFellBack says that a hook's request succeeded only without encryption,
// although it was to be encrypted.
var ErrFellBack = errors.New("the server does not speak HTTPS, the request was made with HTTP")

// Hook performs a hook. Whatever a server answers is a success; so is
// ErrFellBack, but for what is to be told of it.
func Hook(ctx context.Context, h *v1.LifecycleHandler, t Target, clock clock.Clock) error {
	switch {
	case h.Exec != nil:
		return hookExec(ctx, h.Exec.Command, t)
	case h.HTTPGet != nil:
		return hookHTTP(ctx, h.HTTPGet, t)
	case h.Sleep != nil:
		timer := clock.NewTimer(time.Duration(h.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C():
			return nil
		}
	}
	return errors.New("the hook has no handler")
}

func hookExec(ctx context.Context, command []string, t Target) error {
	var output Output
	code, err := t.Exec(ctx, command, &output)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err != nil {
		return fmt.Errorf("command %q: %w, message: %q", strings.Join(command, " "), err, output.String())
	}
	return nil
}

func hookHTTP(ctx context.Context, action *v1.HTTPGetAction, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	request, err := newRequest(ctx, action, t, hookAgent)
	if err != nil {
		return err
	}
	err = call(request)
	if !errors.Is(err, http.ErrSchemeMismatch) {
		return err
	}
	plain := request.Clone(ctx)
	plain.URL.Scheme = "http"
	plain.Header.Del("Authorization") // what was to be encrypted stays so
	if err := call(plain); err != nil {
		return err
	}
	return ErrFellBack
}

func call(request *http.Request) error {
	response, err := client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxOutput))
	return err
}
