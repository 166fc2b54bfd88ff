package leakcheck

import (
	"context"
	"fmt"
	"time"

	taskapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
)

// patience bounds what a containerd that does not answer can cost.
const patience = 5 * time.Second

// snapshotters are the ones that are looked into; those that a daemon does not
// have count as empty.
var snapshotters = []string{"overlayfs", "native"}

// addObjects lists what the containerd at socket holds in all its namespaces.
// Services that an older one lacks count as empty.
func addObjects(ctx context.Context, l Listing, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := client.New(socket, client.WithTimeout(patience))
	if err != nil {
		return fmt.Errorf("connect to containerd %s: %w", socket, err)
	}
	defer c.Close()
	spaces, err := c.NamespaceService().List(ctx)
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	for _, ns := range spaces {
		o := objects{Client: c, listing: l, ns: ns}
		if err := o.add(namespaces.WithNamespace(ctx, ns)); err != nil {
			return err
		}
	}
	return nil
}

// objects adds what one namespace of a containerd holds.
type objects struct {
	*client.Client
	listing Listing
	ns      string
}

func (o objects) add(ctx context.Context) error {
	for class, list := range map[string]func(context.Context, func(string)) error{
		"container": o.containers, "task": o.tasks, "image": o.images, "lease": o.leases,
		"sandbox": o.sandboxes, "content": o.content, "snapshot": o.snapshots,
	} {
		err := list(ctx, func(name string) { o.listing.addf("%s %s %s", class, o.ns, name) })
		if err != nil && !errdefs.IsNotImplemented(err) {
			return fmt.Errorf("list %ss of namespace %s: %w", class, o.ns, err)
		}
	}
	return nil
}

func (o objects) containers(ctx context.Context, add func(string)) error {
	all, err := o.ContainerService().List(ctx)
	for _, c := range all {
		add(c.ID)
	}
	return err
}

func (o objects) tasks(ctx context.Context, add func(string)) error {
	resp, err := o.TaskService().List(ctx, &taskapi.ListTasksRequest{})
	if err != nil {
		return fmt.Errorf("list tasks: %w", errdefs.Resolve(err))
	}
	for _, t := range resp.Tasks {
		add(t.ID)
	}
	return nil
}

func (o objects) images(ctx context.Context, add func(string)) error {
	all, err := o.ImageService().List(ctx)
	for _, image := range all {
		add(image.Name)
	}
	return err
}

func (o objects) leases(ctx context.Context, add func(string)) error {
	all, err := o.LeasesService().List(ctx)
	for _, lease := range all {
		add(lease.ID)
	}
	return err
}

func (o objects) sandboxes(ctx context.Context, add func(string)) error {
	all, err := o.SandboxStore().List(ctx)
	for _, s := range all {
		add(s.ID)
	}
	return err
}

func (o objects) content(ctx context.Context, add func(string)) error {
	return o.ContentStore().Walk(ctx, func(info content.Info) error {
		add(info.Digest.String())
		return nil
	})
}

func (o objects) snapshots(ctx context.Context, add func(string)) error {
	for _, name := range snapshotters {
		err := o.SnapshotService(name).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
			add(fmt.Sprintf("%s %s %s", name, info.Kind, info.Name))
			return nil
		})
		if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsInvalidArgument(err) {
			return err
		}
	}
	return nil
}
