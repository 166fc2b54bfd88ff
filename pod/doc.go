// Package pod is a pod as a whole: Engine brings about what manifests say,
// shows it, changes it and takes it away.
//
// An Engine does not keep pods running by itself. Each pod has a supervisor
// (package supervise), a process that outlives the command that started it;
// the Engine writes what is wished for into the pod's record, sees to it that
// there is a supervisor, and watches what comes of it. What a pod is and how
// it is, is read from containerd each time.
package pod
