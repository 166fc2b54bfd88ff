package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"podrun/pod"
	"podrun/pod/manifest"
)

// upAttached brings pods up, prints what their containers print until they have
// ended, and returns how they did. An interrupt stops the pods, a second one at
// once.
func (a *app) upAttached(ctx context.Context, engine *pod.Engine, loaded *manifest.Manifest, options pod.UpOptions) error {
	// What is printed goes on to the end when the pods are being stopped.
	streaming, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var pods []*v1.Pod
	var streamed sync.WaitGroup
	var broken error
	options.Accepted = func(accepted []*v1.Pod) {
		pods = accepted
		streamed.Go(func() { broken = engine.Stream(streaming, accepted, a.Out, a.Err) })
	}
	_, err := engine.Up(ctx, loaded, options)
	if err != nil {
		stop()
		streamed.Wait()
		return err
	}
	// Also when nobody reads any more what is printed.
	outcomes, err := a.ends(ctx, engine, pods)
	if err != nil {
		stop()
	}
	streamed.Wait()
	if err == nil && broken != nil {
		err = broken
	}
	if err != nil {
		return err
	}
	return worst(outcomes)
}

// stopTimeout bounds the stopping of pods beyond their grace.
const stopTimeout = 30 * time.Second

// ends waits for the ends of pods, and stops them when ctx is done. From then on
// it takes no longer than their grace and stopTimeout.
func (a *app) ends(ctx context.Context, engine *pod.Engine, pods []*v1.Pod) ([]pod.Outcome, error) {
	waiting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	outcomes, errs := make([]pod.Outcome, len(pods)), make([]error, len(pods))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var group sync.WaitGroup
		for i, p := range pods {
			group.Go(func() { outcomes[i], errs[i] = engine.Ended(waiting, p) })
		}
		group.Wait()
	}()
	var stopped sync.WaitGroup
	defer stopped.Wait()
	halt := func(grace *int64) {
		stopped.Go(func() {
			if err := stopAll(waiting, engine, pods, grace); err != nil {
				cancel(err)
			}
		})
	}
	var again <-chan os.Signal
	done := ctx.Done()
	for {
		select {
		case <-ended:
			if broken := context.Cause(waiting); broken != nil {
				errs = []error{broken}
			}
			return outcomes, errors.Join(append(errs, timedOut(ctx))...)
		case <-done:
			done, again = nil, a.Again
			limit := longestGrace(pods) + stopTimeout
			defer time.AfterFunc(limit, func() { cancel(fmt.Errorf("the pods have not ended %v after they were told to", limit)) }).Stop()
			halt(nil)
		case <-again:
			halt(new(int64))
		}
	}
}

// timedOut is the cause of a context that ended for want of time.
func timedOut(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
		return cause
	}
	return nil
}

// stopAll stops pods side by side.
func stopAll(ctx context.Context, engine *pod.Engine, pods []*v1.Pod, grace *int64) error {
	var group sync.WaitGroup
	errs := make([]error, len(pods))
	for i, p := range pods {
		group.Go(func() { errs[i] = engine.Stop(ctx, pod.RefOf(p), grace) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// longestGrace is the longest time that one of the pods gets to end.
func longestGrace(pods []*v1.Pod) time.Duration {
	var seconds int64
	for _, p := range pods {
		seconds = max(seconds, *p.Spec.TerminationGracePeriodSeconds)
	}
	return time.Duration(seconds) * time.Second
}

// worst makes the ends of pods an exit code: that of the first container that
// failed.
func worst(outcomes []pod.Outcome) error {
	for _, outcome := range outcomes {
		switch {
		case outcome.Phase == v1.PodSucceeded:
		case outcome.ExitCode != 0:
			return codeError{code: outcome.ExitCode}
		default:
			return codeError{code: exitWorkload}
		}
	}
	return nil
}
