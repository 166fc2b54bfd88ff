package cmd

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"podrun/pod/manifest"
)

const (
	fetchTime    = 30 * time.Second // for a manifest to arrive, redirects included
	maxRedirects = 5
)

// isURL tells whether an argument is a URL and no file.
func isURL(arg string) bool {
	return strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")
}

// fetch reads a manifest from a URL. Relative host paths have nothing there that
// they could be relative to. A URL that cannot be one is a wrong request; what
// else goes wrong is a failure.
func fetch(ctx context.Context, arg string) (manifest.Source, error) {
	address, err := url.Parse(arg)
	if err != nil || address.Host == "" {
		return manifest.Source{}, usagef("%q is not a URL of a manifest", arg)
	}
	name := address.Redacted()
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, fmt.Errorf("no answer within %v", fetchTime))
	defer cancel()
	data, err := get(ctx, address)
	if err != nil {
		return manifest.Source{}, fmt.Errorf("read %s: %w", name, err)
	}
	return manifest.Source{Name: name, Data: data}, nil
}

// get returns the body of an answer that says that all is well.
func get(ctx context.Context, address *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/yaml, application/json;q=0.9, text/plain;q=0.9, */*;q=0.5")
	request.Header.Set("User-Agent", "podrun")
	client := http.Client{CheckRedirect: checkRedirect}
	answer, err := client.Do(request)
	if err != nil {
		return nil, reasonOf(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %q", answer.Status)
	}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == "text/html" {
		return nil, errors.New("the server answers with a web page, not with a manifest")
	}
	data, err := readLimited(answer.Body)
	if err != nil {
		return nil, reasonOf(ctx, err)
	}
	return data, nil
}

// checkRedirect follows few redirects, and none from a safe connection to one
// that anybody on the way can change.
func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[len(via)-1].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return errors.New("redirected from https to " + request.URL.Scheme)
	}
	return nil
}

// reasonOf is why a request failed, without the URL, which the caller has said
// already, perhaps with a password.
func reasonOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
