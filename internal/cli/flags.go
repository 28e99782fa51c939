package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"minato.dev/minato/internal/cluster"
)

const defaultConfigFile = "/etc/minato/config.yaml"

// dataDirVariable names the cluster for every verb that is not told by flag.
const dataDirVariable = "MINATO_DATA_DIR"

// tokenVariable has the token of a joining machine, which does not belong where everybody sees it.
const tokenVariable = "MINATO_TOKEN"

func defaultDataDir() string {
	if dir := os.Getenv(dataDirVariable); dir != "" {
		return dir
	}
	return cluster.DefaultDataDir
}

// dataDir adds the flag that says which cluster is meant.
func (e *env) dataDir(c *cobra.Command) {
	c.Flags().StringVar(&e.data, "data-dir", defaultDataDir(), "directory that holds everything the cluster keeps")
}

// settings fills the flags that the command line did not set: from MINATO_* variables first, then from the YAML file,
// whose keys are the flags' names. A key that is no flag is an error where strict, so that a typing error is never ignored.
func settings(c *cobra.Command, file string, strict bool) error {
	fromFile, err := readConfig(file, c.Flags().Changed("config"))
	if err != nil {
		return err
	}
	var errs []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		v, from, ok := "", "", false
		if key := "MINATO_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")); os.Getenv(key) != "" {
			v, from, ok = os.Getenv(key), key, true
		} else if y, has := fromFile[f.Name]; has {
			v, from, ok = fmt.Sprint(y), file, true
		}
		delete(fromFile, f.Name)
		if f.Changed || !ok {
			return
		}
		if err := f.Value.Set(v); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s %q: %w", from, f.Name, v, err))
		}
	})
	for key := range fromFile {
		if !strict {
			break
		}
		errs = append(errs, fmt.Errorf("%s: unknown key %q; the keys are the flags that `%s --help` lists", file, key, c.CommandPath()))
	}
	if len(errs) > 0 {
		return exitError{2, errors.Join(errs...)}
	}
	return nil
}

func readConfig(file string, must bool) (map[string]any, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return nil, nil
	}
	if err != nil {
		return nil, exitError{2, err}
	}
	var out map[string]any
	if err := yaml.UnmarshalStrict(b, &out); err != nil {
		return nil, exitError{2, fmt.Errorf("%s: %w", file, err)}
	}
	return out, nil
}
