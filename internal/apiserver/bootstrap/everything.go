package bootstrap

import "minato.dev/minato/internal/api"

// everything is the list of all objects, with defaults filled.
func everything(c Config) ([]wanted, error) {
	list := namespaces()
	rbac, err := rbacObjects()
	if err != nil {
		return nil, err
	}
	list = append(list, rbac...)
	list = append(list, priorityClasses()...)
	list = append(list, apiServices(c)...)
	list = append(list, flowControl()...)
	list = append(list, serviceObjects(c)...)
	config, err := configMaps(c)
	if err != nil {
		return nil, err
	}
	list = append(list, config...)
	for _, w := range list {
		api.Default(w.obj)
	}
	return list, nil
}
