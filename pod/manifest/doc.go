// Package manifest turns documents into v1 objects.
//
// It owns the way from bytes to objects that an API server would have accepted
// and that podrun can bring about:
//
//	Source ──split──▶ YAML nodes ──decode──▶ object ──default──▶ ──validate──▶ Manifest
//	                  (with lines)  │
//	                                └ a verdict for every field that is set
//
// Defaults and validation are Kubernetes' own (k8s.io/kubernetes/pkg/apis/core),
// so the answers are those of an API server. What Kubernetes has no words for,
// it says itself: lines, unknown fields, types, and the verdicts of verdict.go.
//
// Load is for those who bring it about; Check tells, field by field, what would
// be done. What a source may cost to read is bounded in size.go.
//
// Everything that is wrong is reported at once, as Problems. Nothing that a
// document says is dropped in silence, except what an API server itself
// overwrites on create (uid, status ...).
//
// The package is pure: it reads no file, resolves no name, and prints nothing.
package manifest
