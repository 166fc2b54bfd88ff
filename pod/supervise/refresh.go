package supervise

import (
	"context"
	"maps"
	"time"

	"podrun/sandbox"
	"podrun/sandbox/volume"
)

// refreshing is what is known of volumes that are looked after: their contents
// follow objects, labels and annotations, or they may hold only so much. It is
// empty for a pod that has none.
type refreshing struct {
	changed  <-chan struct{}  // told when objects may have changed
	next     time.Time        // when to look at the latest
	done     <-chan refreshed // the end of the look that is going on, nil for none
	trouble  string           // why the last one failed
	exceeded string           // what is to be said of a volume that holds too much

	labels, annotations map[string]string // when it was looked at
}

// refreshed is what came of a look at the volumes.
type refreshed struct {
	exceeded string
	err      error
}

// refresh looks after the pod's volumes beside the loop, when there is a reason
// to: something that they are made of changed, or it has not been done for long.
func (s *Supervisor) refresh(ctx context.Context, sb *sandbox.Sandbox) {
	v := &s.volumes
	follows, limited := volume.Follows(sb.Pod), volume.Limited(sb.Pod)
	if sb.State != sandbox.Ready || sb.Pod.DeletionTimestamp != nil || v.done != nil || !follows && !limited {
		return
	}
	now := s.Clock.Now()
	if now.Before(v.next) && maps.Equal(v.labels, sb.Pod.Labels) && maps.Equal(v.annotations, sb.Pod.Annotations) {
		return
	}
	v.labels, v.annotations, v.next = sb.Pod.Labels, sb.Pod.Annotations, now.Add(lookAgain)
	var err error
	if v.changed == nil && follows {
		v.changed, err = s.Objects.Watch(ctx, sb.Pod.Namespace)
	}
	done := make(chan refreshed, 1)
	v.done = done
	go func() {
		r := refreshed{err: err}
		if r.err == nil && limited {
			r.exceeded, r.err = volume.Exceeded(ctx, s.Sandboxes.VolumeDir(s.uid), sb.Pod)
		}
		if r.err == nil && follows {
			r.err = s.update(ctx, sb)
		}
		done <- r
	}()
}

// update brings the contents of volumes up to what they are made of.
func (s *Supervisor) update(ctx context.Context, sb *sandbox.Sandbox) error {
	sb, err := s.given(sb)
	if err != nil {
		return err
	}
	return s.Sandboxes.UpdateVolumes(ctx, sb)
}

// refreshed takes in what came of a look. What failed is tried again, and each
// cause is told once.
func (s *Supervisor) refreshed(r refreshed) {
	s.volumes.done, s.volumes.exceeded = nil, r.exceeded
	trouble := ""
	if r.err != nil {
		trouble = r.err.Error()
	}
	if trouble != "" && trouble != s.volumes.trouble {
		s.Log.Error("update volumes", "uid", s.uid, "error", r.err)
	}
	s.volumes.trouble = trouble
}
