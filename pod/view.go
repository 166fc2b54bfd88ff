package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"podrun/pod/status"
	"podrun/pod/supervise"
	"podrun/sandbox"
)

// Ref names a pod.
type Ref struct{ Namespace, Name string }

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// RefOf is the reference to a pod.
func RefOf(pod *v1.Pod) Ref { return Ref{Namespace: pod.Namespace, Name: pod.Name} }

// ErrNotFound says that there is no pod of that name.
var ErrNotFound = errors.New("no such pod")

// view is a pod as it is at one moment.
type view struct {
	sandbox  *sandbox.Sandbox
	pod      *v1.Pod // with its status
	observed status.Observed
}

// look observes a pod; errdefs.ErrNotFound when it is gone.
func (e *Engine) look(ctx context.Context, uid string) (*view, error) {
	sb, observed, err := supervise.Observe(ctx, e.sandboxes, uid)
	if err != nil {
		return nil, err
	}
	return e.view(sb, observed), nil
}

func (e *Engine) view(sb *sandbox.Sandbox, observed status.Observed) *view {
	pod := sb.Pod.DeepCopy()
	pod.Status = status.Of(pod, observed, time.Now())
	return &view{sandbox: sb, pod: pod, observed: observed}
}

// List returns the pods, status included, by namespace and name. Pods whose
// supervisor is gone are given a new one.
func (e *Engine) List(ctx context.Context) ([]v1.Pod, error) {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]*view, len(records))
	group, ctx := errgroup.WithContext(ctx)
	for i, record := range records {
		group.Go(func() (err error) {
			views[i], err = e.look(ctx, record.UID())
			if errdefs.IsNotFound(err) {
				return nil
			}
			if err == nil {
				err = e.ensureSupervised(views[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	pods := []v1.Pod{}
	for _, v := range views {
		if v != nil {
			pods = append(pods, *v.pod)
		}
	}
	slices.SortFunc(pods, func(a, b v1.Pod) int {
		return strings.Compare(RefOf(&a).String(), RefOf(&b).String())
	})
	return pods, nil
}

// Select returns the pods of a namespace, empty for all, that have matching
// labels. It looks at records only.
func (e *Engine) Select(ctx context.Context, namespace string, matches labels.Selector) ([]Ref, error) {
	var records []*sandbox.Sandbox
	if err := e.insist(ctx, func() (err error) {
		records, err = e.sandboxes.List(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	var refs []Ref
	for _, sb := range records {
		if (namespace == "" || sb.Pod.Namespace == namespace) && matches.Matches(labels.Set(sb.Pod.Labels)) {
			refs = append(refs, RefOf(sb.Pod))
		}
	}
	return refs, nil
}

// Inspect returns one pod, status included.
func (e *Engine) Inspect(ctx context.Context, ref Ref) (*v1.Pod, error) {
	v, err := e.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return v.pod, e.ensureSupervised(v)
}

// find looks at the pod of that name.
func (e *Engine) find(ctx context.Context, ref Ref) (*view, error) {
	record, err := e.record(ctx, ref)
	if err != nil {
		return nil, err
	}
	v, err := e.look(ctx, record.UID())
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %q in namespace %q", ErrNotFound, ref.Name, ref.Namespace)
	}
	return v, err
}

// record returns the record of the pod of that name.
func (e *Engine) record(ctx context.Context, ref Ref) (*sandbox.Sandbox, error) {
	records, err := e.sandboxes.List(ctx)
	if err != nil {
		return nil, err
	}
	if sb := recordOf(records, ref); sb != nil {
		return sb, nil
	}
	return nil, fmt.Errorf("%w: %q in namespace %q", ErrNotFound, ref.Name, ref.Namespace)
}

// recordOf is the record of a pod among others, nil when there is none.
func recordOf(records []*sandbox.Sandbox, ref Ref) *sandbox.Sandbox {
	for _, sb := range records {
		if RefOf(sb.Pod) == ref {
			return sb
		}
	}
	return nil
}

// over says whether the pod has ended and everything is taken down: it needs
// no supervisor.
func (v *view) over() bool {
	return v.pod.DeletionTimestamp == nil && v.sandbox.State == sandbox.Stopped &&
		podutil.IsPodPhaseTerminal(v.pod.Status.Phase)
}

// now is the time as the API keeps it.
func now() metav1.Time { return metav1.Now().Rfc3339Copy() }
