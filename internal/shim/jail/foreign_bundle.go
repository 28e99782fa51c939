//go:build cgo

package jail

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// commonVersion is of the specification that every runtime of the last years understands; some refuse a later one by its
// number alone.
const commonVersion = "1.0.2"

// commonBundle writes a config.json into dir that says what bundle's does, under a version that all runtimes know.
func commonBundle(dir, bundle string) error {
	var config map[string]json.RawMessage
	if err := ReadJSON(filepath.Join(bundle, "config.json"), &config); err != nil {
		return err
	}
	spec, err := LoadSpec(bundle)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(spec.Root.Path) {
		spec.Root.Path = filepath.Join(bundle, spec.Root.Path)
	}
	if config["root"], err = json.Marshal(spec.Root); err != nil {
		return err
	}
	if config["ociVersion"], err = json.Marshal(commonVersion); err != nil {
		return err
	}
	path := filepath.Join(dir, "config.json")
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return WriteJSON(path, config)
}
