package volume

import (
	"errors"
	"fmt"
	"maps"
	"path"

	v1 "k8s.io/api/core/v1"

	"podrun/container/env"
)

// file is a file of a volume whose contents come from above.
type file struct {
	data []byte
	mode int32
}

// Follows says whether a pod has volumes that change with objects or with the
// pod's labels and annotations.
func Follows(pod *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if _, ok := sourcesOf(&pod.Spec.Volumes[i]); ok {
			return true
		}
	}
	return false
}

// sources are what the files of a volume come from: what is later in the list
// takes the place of what is earlier and has the same path.
type sources struct {
	plugin string // in the path of the volume, as a kubelet calls it
	memory bool   // the files are on a tmpfs
	list   []v1.VolumeProjection
	mode   *int32
}

// sourcesOf takes each kind of volume that is made of files for a projected one.
func sourcesOf(vol *v1.Volume) (sources, bool) {
	one := func(p v1.VolumeProjection) []v1.VolumeProjection { return []v1.VolumeProjection{p} }
	switch {
	case vol.ConfigMap != nil:
		c := vol.ConfigMap
		return sources{"configmap", false, one(v1.VolumeProjection{ConfigMap: &v1.ConfigMapProjection{
			LocalObjectReference: c.LocalObjectReference, Items: c.Items, Optional: c.Optional,
		}}), c.DefaultMode}, true
	case vol.Secret != nil:
		s := vol.Secret
		return sources{"secret", true, one(v1.VolumeProjection{Secret: &v1.SecretProjection{
			LocalObjectReference: v1.LocalObjectReference{Name: s.SecretName}, Items: s.Items, Optional: s.Optional,
		}}), s.DefaultMode}, true
	case vol.DownwardAPI != nil:
		d := vol.DownwardAPI
		return sources{"downward-api", true, one(v1.VolumeProjection{DownwardAPI: &v1.DownwardAPIProjection{Items: d.Items}}), d.DefaultMode}, true
	case vol.Projected != nil:
		return sources{"projected", true, vol.Projected.Sources, vol.Projected.DefaultMode}, true
	}
	return sources{}, false
}

// collect returns the files by their paths in the volume, or all that is wrong.
func (s sources) collect(in Input) (map[string]file, error) {
	mode := int32(0o644)
	if s.mode != nil {
		mode = *s.mode
	}
	files := map[string]file{}
	var errs []error
	for _, p := range s.list {
		found, err := collectOne(in, p, mode)
		errs = append(errs, err)
		maps.Copy(files, found)
	}
	return files, errors.Join(errs...)
}

func collectOne(in Input, p v1.VolumeProjection, mode int32) (map[string]file, error) {
	switch {
	case p.ConfigMap != nil:
		data, found := configMapData(in.Objects, p.ConfigMap.Name)
		return pick(data, p.ConfigMap.Items, mode, need{p.ConfigMap.Optional, found,
			fmt.Sprintf("configmap %q not found", p.ConfigMap.Name), "configmap references non-existent config key: "})
	case p.Secret != nil:
		object, found := in.Objects.Secrets[p.Secret.Name]
		var data map[string][]byte
		if found {
			data = object.Data
		}
		return pick(data, p.Secret.Items, mode, need{p.Secret.Optional, found,
			fmt.Sprintf("secret %q not found", p.Secret.Name), "references non-existent secret key: "})
	case p.DownwardAPI != nil:
		return downward(in, p.DownwardAPI.Items, mode)
	}
	return nil, errors.New("this source of a projected volume is not supported")
}

func configMapData(objects env.Objects, name string) (map[string][]byte, bool) {
	object, found := objects.ConfigMaps[name]
	if !found {
		return nil, false
	}
	data := maps.Clone(object.BinaryData)
	if data == nil {
		data = map[string][]byte{}
	}
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	return data, true
}

// need says what it means when an object or a key of it is missing. The texts
// are the kubelet's.
type need struct {
	optional         *bool
	found            bool
	noObject, noKeys string
}

// pick returns the files that items name, without items one for every key.
func pick(data map[string][]byte, items []v1.KeyToPath, mode int32, n need) (map[string]file, error) {
	optional := n.optional != nil && *n.optional
	if !n.found && !optional {
		return nil, errors.New(n.noObject)
	}
	files := map[string]file{}
	if len(items) == 0 {
		for key, value := range data {
			files[key] = file{value, mode}
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && !optional {
			return nil, errors.New(n.noKeys + item.Key)
		}
		if ok {
			files[path.Clean(item.Path)] = file{value, modeOf(item.Mode, mode)}
		}
	}
	return files, nil
}

func downward(in Input, items []v1.DownwardAPIVolumeFile, mode int32) (map[string]file, error) {
	files := map[string]file{}
	var errs []error
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = env.Field(in.Pod, item.FieldRef, in.Facts)
		case item.ResourceFieldRef != nil:
			value, err = env.Resource(in.Pod, nil, item.ResourceFieldRef, in.Facts)
		}
		errs = append(errs, err)
		files[path.Clean(item.Path)] = file{[]byte(value), modeOf(item.Mode, mode)}
	}
	return files, errors.Join(errs...)
}

func modeOf(own *int32, otherwise int32) int32 {
	if own != nil {
		return *own
	}
	return otherwise
}
