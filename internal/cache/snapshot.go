package cache

// A Snapshot is the immutable state of one resource at one revision.
type Snapshot struct{}

// Revision is the revision of the cache that the snapshot shows.
func (s *Snapshot) Revision() int64 { return 0 }

// Len is the number of objects of the resource.
func (s *Snapshot) Len() int { return 0 }

// Get returns the object at key.
func (s *Snapshot) Get(key string) (*Object, bool) { return nil, false }

// Ascend calls each with all objects whose key is not less than from ("" for all), in key order, until it returns false.
func (s *Snapshot) Ascend(from string, each func(*Object) bool) {}

// AscendPrefix is Ascend within the keys that start with prefix: one namespace is Resource.Prefix + namespace + "/".
func (s *Snapshot) AscendPrefix(prefix, from string, each func(*Object) bool) {}

// Count is the number of objects whose key starts with prefix and is not less than from.
func (s *Snapshot) Count(prefix, from string) int { return 0 }

// ByField is AscendPrefix within the objects whose indexed field has this value. It returns false, having called nothing,
// where the resource has no index on field.
func (s *Snapshot) ByField(field, value, prefix, from string, each func(*Object) bool) (indexed bool) {
	return false
}
