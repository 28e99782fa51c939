package api

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// moreColumns goes on with otherColumns.
func moreColumns(plural string) docs {
	switch plural {
	case "csinodes":
		return docs{"Drivers": "Drivers indicates the number of CSI drivers registered on the node"}
	case "csidrivers":
		return docs{
			"AttachRequired":  doc(storagev1.CSIDriverSpec{}, "attachRequired"),
			"PodInfoOnMount":  doc(storagev1.CSIDriverSpec{}, "podInfoOnMount"),
			"StorageCapacity": doc(storagev1.CSIDriverSpec{}, "storageCapacity"),
			"TokenRequests":   doc(storagev1.CSIDriverSpec{}, "tokenRequests"), "RequiresRepublish": doc(storagev1.CSIDriverSpec{}, "requiresRepublish"),
			"Modes": doc(storagev1.CSIDriverSpec{}, "volumeLifecycleModes"),
		}
	case "csistoragecapacities":
		return docs{
			"StorageClassName": doc(storagev1.CSIStorageCapacity{}, "storageClassName"),
			"Capacity":         doc(storagev1.CSIStorageCapacity{}, "capacity"),
		}
	case "mutatingwebhookconfigurations":
		return docs{"Webhooks": "Webhooks indicates the number of webhooks registered in this configuration"}
	case "validatingwebhookconfigurations":
		return docs{"Webhooks": "Webhooks indicates the number of webhooks registered in this configuration"}
	case "validatingadmissionpolicies":
		return docs{
			"Validations": "Validations indicates the number of validation rules defined in this configuration",
			"ParamKind":   "ParamKind specifies the kind of resources used to parameterize this policy",
		}
	case "validatingadmissionpolicybindings":
		return docs{
			"PolicyName": "PolicyName indicates the policy definition which the policy binding binded to",
			"ParamRef":   "ParamRef indicates the param resource which sets the configuration param",
		}
	case "mutatingadmissionpolicies":
		return docs{
			"Mutations": "Mutation indicates the number of mutations rules defined in this configuration",
			"ParamKind": "ParamKind specifies the kind of resources used to parameterize this policy",
		}
	case "mutatingadmissionpolicybindings":
		return docs{
			"PolicyName": "PolicyName indicates the policy definition which the policy binding binded to",
			"ParamRef":   "ParamRef indicates the param resource which sets the configuration param",
		}
	case "flowschemas":
		return docs{
			"PriorityLevel":       doc(flowcontrolv1.PriorityLevelConfigurationReference{}, "name"),
			"MatchingPrecedence":  doc(flowcontrolv1.FlowSchemaSpec{}, "matchingPrecedence"),
			"DistinguisherMethod": doc(flowcontrolv1.FlowSchemaSpec{}, "distinguisherMethod"),
			"MissingPL":           "references a broken or non-existent PriorityLevelConfiguration",
		}
	case "prioritylevelconfigurations":
		return docs{
			"Type":                     doc(flowcontrolv1.PriorityLevelConfigurationSpec{}, "type"),
			"NominalConcurrencyShares": doc(flowcontrolv1.LimitedPriorityLevelConfiguration{}, "nominalConcurrencyShares"),
			"Queues":                   doc(flowcontrolv1.QueuingConfiguration{}, "queues"), "HandSize": doc(flowcontrolv1.QueuingConfiguration{}, "handSize"),
			"QueueLengthLimit": doc(flowcontrolv1.QueuingConfiguration{}, "queueLengthLimit"),
		}
	case "resourceclaims":
		return docs{"State": "A summary of the current state (allocated, pending, reserved, etc.)."}
	case "resourceslices":
		return docs{
			"Node": doc(resourcev1.ResourceSliceSpec{}, "nodeName"), "Driver": doc(resourcev1.ResourceSliceSpec{}, "driver"),
			"Pool": doc(resourcev1.ResourcePool{}, "name"),
		}
	case "devicetaintrules":
		return docs{
			"Key": doc(resourcev1.DeviceTaint{}, "key"), "Value": doc(resourcev1.DeviceTaint{}, "value"),
			"Effect": doc(resourcev1.DeviceTaint{}, "effect"), "TimeAdded": doc(resourcev1.DeviceTaint{}, "timeAdded"),
		}
	case "servicecidrs":
		return docs{"CIDRs": doc(networkingv1.ServiceCIDRSpec{}, "cidrs")}
	case "ipaddresses":
		return docs{"ParentRef": doc(networkingv1.IPAddressSpec{}, "parentRef")}
	case "storageversionmigrations":
		return docs{"Resource": "GroupResource to migrate", "Status": "Status of the migration"}
	}
	return nil
}
