package api

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func updateClaimStatus(c, old *resource.ResourceClaim) {
	c.Spec = old.Spec
	statusOnly(&c.ObjectMeta, &old.ObjectMeta)
	dropSkippedOperations(c, old)
	dropReleasedDevices(c, old)
}

func dropSkippedOperations(c, old *resource.ResourceClaim) {
	skips := func(r resource.DeviceRequestAllocationResult) bool { return len(r.SkipNodeOperations) > 0 }
	if gate("DRAOptionalNodeOperations") || slices.ContainsFunc(allocated(old), skips) {
		return
	}
	for i := range allocated(c) {
		c.Status.Allocation.Devices.Results[i].SkipNodeOperations = nil
	}
}

// allocated are the devices that the claim has.
func allocated(c *resource.ResourceClaim) []resource.DeviceRequestAllocationResult {
	if c.Status.Allocation == nil {
		return nil
	}
	return c.Status.Allocation.Devices.Results
}

// device names one allocated device, or a share of it.
type device struct{ driver, pool, name, share string }

// dropReleasedDevices removes the reported state of devices that this update gives back.
func dropReleasedDevices(c, old *resource.ResourceClaim) {
	released := map[device]bool{}
	for _, r := range allocated(old) {
		released[device{r.Driver, r.Pool, r.Device, string(deref(r.ShareID))}] = true
	}
	for _, r := range allocated(c) {
		delete(released, device{r.Driver, r.Pool, r.Device, string(deref(r.ShareID))})
	}
	c.Status.Devices = slices.DeleteFunc(c.Status.Devices, func(d resource.AllocatedDeviceStatus) bool {
		return released[device{d.Driver, d.Pool, d.Device, deref(d.ShareID)}]
	})
	if len(c.Status.Devices) == 0 {
		c.Status.Devices = nil
	}
}

func validClaimStatus(_ context.Context, r *Request, obj, was Object) field.ErrorList {
	c, old := obj.(*resource.ResourceClaim), was.(*resource.ResourceClaim)
	var errs field.ErrorList
	if _, had := administers(allocated(old)); !had {
		if i, asks := administers(allocated(c)); asks {
			path := field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess")
			errs = append(errs, r.adminNamespace(path, c.Namespace)...)
		}
	}
	if gate("DRAResourceClaimGranularStatusAuthorization") {
		errs = append(errs, r.mayBind(c, old)...)
		if c.Status.Allocation != nil {
			errs = append(errs, r.mayReport(c, old)...)
		}
	}
	return append(errs, validation.ValidateResourceClaimStatusUpdate(c, old)...)
}

func administers(list []resource.DeviceRequestAllocationResult) (int, bool) {
	i := slices.IndexFunc(list, func(r resource.DeviceRequestAllocationResult) bool { return deref(r.AdminAccess) })
	return i, i >= 0
}

// mayAdminister lets only claims of namespaces that are marked for it ask for administrative access.
func (r *Request) mayAdminister(requests []resource.DeviceRequest, namespace string) field.ErrorList {
	for i, q := range requests {
		if q.Exactly != nil && deref(q.Exactly.AdminAccess) {
			return r.adminNamespace(field.NewPath("spec", "devices", "requests").Index(i).Child("adminAccess"), namespace)
		}
	}
	return nil
}

func (r *Request) adminNamespace(path *field.Path, name string) field.ErrorList {
	if r.NamespaceOf != nil {
		ns, err := r.NamespaceOf(name)
		if err != nil {
			return field.ErrorList{field.InternalError(path, fmt.Errorf("could not retrieve namespace to verify admin access: %w", err))}
		}
		if ns.Labels[resource.DRAAdminNamespaceLabelKey] == "true" {
			return nil
		}
	}
	return field.ErrorList{field.Forbidden(path, fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", resource.DRAAdminNamespaceLabelKey))}
}

// mayBind: allocation and reservation are the scheduler's.
func (r *Request) mayBind(c, old *resource.ResourceClaim) field.ErrorList {
	if sameValue(c.Status.Allocation, old.Status.Allocation) && sameValue(c.Status.ReservedFor, old.Status.ReservedFor) {
		return nil
	}
	verb := r.verb()
	err := r.allowed(Access{Verb: verb, Group: "resource.k8s.io", Version: r.GroupVersion.Version, Resource: "resourceclaims", Subresource: "binding"})
	if err == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("status", "allocation"),
		fmt.Sprintf(`changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="%s" permission: %s`, verb, err))}
}

// mayReport: the state of a device is its driver's, on the claim's node or on any.
func (r *Request) mayReport(c, old *resource.ResourceClaim) field.ErrorList {
	verbs := []string{"arbitrary-node:" + r.verb()}
	if r.onNode(claimNode(c)) {
		verbs = append([]string{"associated-node:" + r.verb()}, verbs...)
	}
	var errs field.ErrorList
	for _, driver := range changedDrivers(c.Status.Devices, old.Status.Devices) {
		var first error
		ok := slices.ContainsFunc(verbs, func(v string) bool {
			err := r.allowed(Access{Verb: v, Group: "resource.k8s.io", Version: r.GroupVersion.Version, Resource: "resourceclaims", Subresource: "driver", Namespace: c.Namespace, Name: driver})
			if err != nil && first == nil {
				first = err
			}
			return err == nil
		})
		if !ok {
			errs = append(errs, field.Forbidden(field.NewPath("status", "devices"),
				fmt.Sprintf(`changing status.devices requires resource="resourceclaims/driver", verb="%s" permission: %s`, verbs, first)))
		}
	}
	return errs
}

func (r *Request) verb() string {
	if r.Verb == "" {
		return "update"
	}
	return r.Verb
}

// onNode: the user is a service account whose token is bound to a pod of that node.
func (r *Request) onNode(name string) bool {
	nodes := r.User.Extra["authentication.kubernetes.io/node-name"]
	return name != "" && len(nodes) == 1 && nodes[0] == name
}

// claimNode is the node that the allocation is for, if it is for one by name.
func claimNode(c *resource.ResourceClaim) string {
	a := c.Status.Allocation
	if a == nil || a.NodeSelector == nil || len(a.NodeSelector.NodeSelectorTerms) != 1 {
		return ""
	}
	t := a.NodeSelector.NodeSelectorTerms[0]
	if len(t.MatchExpressions) != 0 || len(t.MatchFields) != 1 {
		return ""
	}
	f := t.MatchFields[0]
	if f.Key != "metadata.name" || f.Operator != "In" || len(f.Values) != 1 {
		return ""
	}
	return f.Values[0]
}

func changedDrivers(list, old []resource.AllocatedDeviceStatus) []string {
	was := map[device]resource.AllocatedDeviceStatus{}
	key := func(d resource.AllocatedDeviceStatus) device {
		return device{d.Driver, d.Pool, d.Device, deref(d.ShareID)}
	}
	for _, d := range old {
		was[key(d)] = d
	}
	var out []string
	for _, d := range list {
		o, had := was[key(d)]
		delete(was, key(d))
		if !had || !sameValue(o, d) {
			out = append(out, d.Driver)
		}
	}
	for _, d := range was {
		out = append(out, d.Driver)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
