package cmd

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serve is a server that answers PATH with what it holds.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	text := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, body)
		})
	}
	text("/pod.yaml", "text/plain", goodPod)
	text("/bad.yaml", "text/plain", "kind: Pod\napiVersion: v2\n")
	text("/relative.yaml", "", strings.Replace(goodPod, "nodeName: a", "volumes: [{name: a, hostPath: {path: data}}]", 1))
	text("/page", "text/html; charset=utf-8", "<html>")
	text("/large", "text/plain", goodPod+strings.Repeat("#", 5<<20))
	mux.Handle("/moved", http.RedirectHandler("/pod.yaml", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/file", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, goodPod)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestURL(t *testing.T) {
	t.Parallel()
	server := serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, path := range []string{"/pod.yaml", "/moved"} {
		if got := run(t, "", "check", server.URL+path); got.code != 0 || !strings.Contains(got.out, path+":4 ") {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for _, test := range []struct {
		url  string
		code int
		want string // HOST is the server's
	}{
		{"http://HOST/bad.yaml", 2, `http://HOST/bad.yaml:2: apiVersion: "v2" has no kind Pod, expected v1`},
		{"http://HOST/relative.yaml", 2, "http://HOST/relative.yaml:4: spec.volumes[0].hostPath.path: a relative path, but a manifest from here is in no directory"},
		{"http://HOST/large", 2, "http://HOST/large:1: larger than 3 MiB"},
		{"http://HOST/none", 1, `podrun: read http://HOST/none: the server answers "404 Not Found"`},
		{"http://me:hunter2@HOST/none", 1, `podrun: read http://me:xxxxx@HOST/none: the server answers "404 Not Found"`},
		{"http://HOST/page", 1, "podrun: read http://HOST/page: the server answers with a web page, not with a manifest"},
		{"http://HOST/round", 1, "podrun: read http://HOST/round: more than 5 redirects"},
		{"http://HOST/file", 1, `podrun: read http://HOST/file: unsupported protocol scheme "file"`},
		{"http://HOST/cut", 1, "podrun: read http://HOST/cut: unexpected EOF"},
		{"http://", 2, `podrun: "http://" is not a URL of a manifest`},
		{"http://a b", 2, `podrun: "http://a b" is not a URL of a manifest`},
	} {
		got := run(t, "", "check", strings.ReplaceAll(test.url, "HOST", host))
		if want := strings.ReplaceAll(test.want, "HOST", host) + "\n"; got.code != test.code || got.errors != want {
			t.Errorf("exit %d, want %d\n%s\nwant\n%s", got.code, test.code, got.errors, want)
		}
	}
}

// TestURLDowngrade shows that a redirect does not leave a safe connection.
func TestURLDowngrade(t *testing.T) {
	t.Parallel()
	plain := serve(t)
	safe := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/pod.yaml", http.StatusFound))
	t.Cleanup(safe.Close)
	client := safe.Client()
	client.CheckRedirect = checkRedirect
	if _, err := client.Get(safe.URL); err == nil || !strings.HasSuffix(err.Error(), "redirected from https to http") {
		t.Errorf("%v", err)
	}
}

// TestURLInterrupted shows that a server that does not answer is not waited for
// when the call is called off.
func TestURLInterrupted(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(Interrupted{2})
	}()
	var errs bytes.Buffer
	if code := Main(ctx, Streams{Err: &errs}, []string{"check", server.URL}); code != 130 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
