package api

import "bytes"

// Index is the little that lists, watches and selectors need of a stored object.
type Index struct {
	Namespace string
	Name      string
	UID       string
	Labels    map[string]string
	// Deleting: deletionTimestamp is set.
	Deleting bool
	// Owners are the UIDs of the owner references.
	Owners []string
	// Fields are the selectable fields beside metadata.name and metadata.namespace, as Resource.Fields gives them.
	Fields map[string]string
}

// Index reads a stored value of the kind: from the bytes alone where the wire format allows it, else by decoding.
// The strings of the result do not keep value alive. Values must be canonical (see Canonical): on bytes that lack a
// default the selectable fields lack it too.
func (r *Resource) Index(value []byte) (Index, error) {
	if x, ok, err := r.walk(value); ok || err != nil {
		return x, err
	}
	obj, err := r.DecodeStorage(value)
	if err != nil {
		return Index{}, err
	}
	return r.IndexOf(obj), nil
}

// IndexOf is Index for an object at hand, of the storage type.
func (r *Resource) IndexOf(obj Object) Index {
	x := Index{
		Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: string(obj.GetUID()),
		Labels: obj.GetLabels(), Deleting: obj.GetDeletionTimestamp() != nil,
	}
	for _, o := range obj.GetOwnerReferences() {
		x.Owners = append(x.Owners, string(o.UID))
	}
	if r.Fields != nil {
		x.Fields = r.Fields(obj)
	}
	return x
}

// walk reads the index from a protobuf value without decoding it. ok is false if it cannot: JSON, another version than
// the storage version, or a kind whose fields are not described for the walk.
func (r *Resource) walk(value []byte) (x Index, ok bool, err error) {
	if !bytes.HasPrefix(value, envelopeMagic) || (r.Fields != nil && r.wire == nil) {
		return Index{}, false, nil
	}
	raw, same, err := r.envelope(value[len(envelopeMagic):])
	if err != nil || !same {
		return Index{}, false, err
	}
	if r.wire != nil {
		x.Fields = r.wire.zero()
	}
	err = eachField(raw, func(num int, v wireValue) error {
		if num == metadataField {
			return x.meta(v.bytes)
		}
		return r.wire.read(num, v, x.Fields)
	})
	if err != nil {
		return Index{}, false, err
	}
	if r.wire != nil && r.wire.finish != nil {
		r.wire.finish(x.Fields)
	}
	return x, true, nil
}

// envelope returns the object's own bytes, and whether they are of the storage version.
func (r *Resource) envelope(unknown []byte) (raw []byte, same bool, err error) {
	var apiVersion, kind string
	err = eachField(unknown, func(num int, v wireValue) error {
		switch num {
		case 1: // typeMeta
			return eachField(v.bytes, func(num int, v wireValue) error {
				switch num {
				case 1:
					apiVersion = string(v.bytes)
				case 2:
					kind = string(v.bytes)
				}
				return nil
			})
		case 2:
			raw = v.bytes
		}
		return nil
	})
	return raw, err == nil && kind == r.Storage.Kind && apiVersion == r.Storage.GroupVersion().String(), err
}

// The field numbers of ObjectMeta and OwnerReference in upstream's generated.proto.
const (
	metadataField = 1

	metaName, metaNamespace, metaUID, metaDeletion, metaLabels, metaOwners = 1, 3, 5, 9, 11, 13

	ownerUID = 4
)

func (x *Index) meta(msg []byte) error {
	return eachField(msg, func(num int, v wireValue) error {
		switch num {
		case metaName:
			x.Name = string(v.bytes)
		case metaNamespace:
			x.Namespace = string(v.bytes)
		case metaUID:
			x.UID = string(v.bytes)
		case metaDeletion:
			x.Deleting = true
		case metaLabels:
			return x.label(v.bytes)
		case metaOwners:
			return x.owner(v.bytes)
		}
		return nil
	})
}

func (x *Index) label(entry []byte) error {
	var key, value string
	err := eachField(entry, func(num int, v wireValue) error {
		switch num {
		case 1:
			key = string(v.bytes)
		case 2:
			value = string(v.bytes)
		}
		return nil
	})
	if x.Labels == nil {
		x.Labels = map[string]string{}
	}
	x.Labels[key] = value
	return err
}

func (x *Index) owner(ref []byte) error {
	uid := ""
	err := eachField(ref, func(num int, v wireValue) error {
		if num == ownerUID {
			uid = string(v.bytes)
		}
		return nil
	})
	x.Owners = append(x.Owners, uid)
	return err
}
