package handler

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// The names that requests go by, as servers know them from kubelets.
const (
	probeAgent = "kube-probe/1.36"
	hookAgent  = "kube-lifecycle/1.36"
)

// maxRedirects is how often a probe follows to the same host.
const maxRedirects = 10

func probeHTTP(ctx context.Context, action *v1.HTTPGetAction, t Target) Answer {
	request, err := newRequest(ctx, action, t, probeAgent)
	if err != nil {
		return unknown(err)
	}
	response, err := client().Do(request)
	if err != nil {
		return failure("%v", err)
	}
	defer response.Body.Close()
	var body Output
	if _, err := io.Copy(&body, io.LimitReader(response.Body, maxOutput)); err != nil {
		return failure("%v", err)
	}
	switch code := response.StatusCode; {
	case code < http.StatusOK || code >= http.StatusBadRequest:
		return failure("HTTP probe failed with statuscode: %d", code)
	case code >= http.StatusMultipleChoices:
		return Answer{Result: Success, Output: "Probe terminated redirects, Response body: " + body.String(), Warning: true}
	}
	return Answer{Result: Success, Output: body.String()}
}

// newRequest makes the request that an action stands for.
func newRequest(ctx context.Context, action *v1.HTTPGetAction, t Target, agent string) (*http.Request, error) {
	address, err := t.address(action.Host, action.Port)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(action.Path)
	if err != nil {
		target = &url.URL{Path: action.Path}
	}
	target.Scheme, target.Host = "http", address
	if action.Scheme != "" {
		target.Scheme = strings.ToLower(string(action.Scheme))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header = http.Header{"User-Agent": {agent}, "Accept": {"*/*"}, "Connection": {"close"}}
	own := http.Header{}
	for _, h := range action.HTTPHeaders {
		own.Add(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			request.Host = h.Value
		}
	}
	for name, values := range own {
		request.Header[name] = values
	}
	return request, nil
}

// client makes a connection of its own for each request, to the container and
// nobody in between, and takes whatever certificate there is. It follows
// redirects to the same host only.
func client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			if request.URL.Hostname() != via[0].URL.Hostname() {
				return http.ErrUseLastResponse
			}
			if len(via) >= maxRedirects {
				return fmt.Errorf("stopped after %d redirects", maxRedirects)
			}
			return nil
		},
	}
}
