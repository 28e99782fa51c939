package api

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
// The strings of the result do not keep value alive.
func (r *Resource) Index(value []byte) (Index, error) {
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
