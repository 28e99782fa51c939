package api

import (
	"context"
	"fmt"
	"math"
	"sync"

	apimachinery "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	core "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
	conversion "k8s.io/kubernetes/pkg/apis/flowcontrol/v1"
)

// mandatoryLevels are the specs of the priority levels that nobody may change, by name.
var mandatoryLevels = sync.OnceValue(func() map[string]flowcontrol.PriorityLevelConfigurationSpec {
	specs := map[string]flowcontrol.PriorityLevelConfigurationSpec{}
	for _, l := range bootstrap.MandatoryPriorityLevelConfigurations {
		var spec flowcontrol.PriorityLevelConfigurationSpec
		if err := conversion.Convert_v1_PriorityLevelConfigurationSpec_To_flowcontrol_PriorityLevelConfigurationSpec(&l.Spec, &spec, nil); err != nil {
			panic(err) // upstream's own data
		}
		specs[l.Name] = spec
	}
	return specs
})

// roundTrip is an annotation of v1beta3, which no client may write any more.
const roundTrip = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"

func validLevel(_ context.Context, _ *Request, obj Object) field.ErrorList {
	p := obj.(*flowcontrol.PriorityLevelConfiguration)
	meta := field.NewPath("metadata")
	errs := core.ValidateObjectMeta(&p.ObjectMeta, false, apimachinery.NameIsDNSSubdomain, meta)
	if _, ok := p.Annotations[roundTrip]; ok {
		errs = append(errs, field.Forbidden(meta.Child("annotations"), fmt.Sprintf("annotation '%s' is forbidden", roundTrip)))
	}
	at := field.NewPath("spec")
	errs = append(errs, validLevelSpec(p.Name, &p.Spec, at)...)
	errs = append(errs, validMandatoryLevel(p, at)...)
	return append(errs, validLevelStatus(p)...)
}

// validMandatoryLevel refuses changes of what is fixed; of the level "exempt" that is all but the part of that name.
func validMandatoryLevel(p *flowcontrol.PriorityLevelConfiguration, at *field.Path) field.ErrorList {
	want, ok := mandatoryLevels()[p.Name]
	if !ok {
		return nil
	}
	have, but := p.Spec, ""
	if p.Name == flowcontrol.PriorityLevelConfigurationNameExempt {
		have.Exempt, but = want.Exempt, " except the 'spec.exempt' field"
	}
	if Equal(want, have) {
		return nil
	}
	return field.ErrorList{field.Invalid(at, p.Spec, fmt.Sprintf("spec of '%s'%s must equal the fixed value", p.Name, but))}
}

func validLevelSpec(name string, spec *flowcontrol.PriorityLevelConfigurationSpec, at *field.Path) (errs field.ErrorList) {
	if (name == flowcontrol.PriorityLevelConfigurationNameExempt) != (spec.Type == flowcontrol.PriorityLevelEnablementExempt) {
		errs = append(errs, field.Invalid(at.Child("type"), spec.Type, "must be 'Exempt' if and only if `name` is 'exempt'"))
	}
	switch spec.Type {
	case flowcontrol.PriorityLevelEnablementExempt:
		if spec.Limited != nil {
			errs = append(errs, field.Forbidden(at.Child("limited"), "must be nil if the type is not Limited").MarkCoveredByDeclarative())
		}
		if e := spec.Exempt; e != nil {
			errs = append(errs, validShares(e.NominalConcurrencyShares, e.LendablePercent, at.Child("exempt"))...)
		}
	case flowcontrol.PriorityLevelEnablementLimited:
		if spec.Exempt != nil {
			errs = append(errs, field.Forbidden(at.Child("exempt"), "must be nil if the type is Limited").MarkCoveredByDeclarative())
		}
		if spec.Limited == nil {
			errs = append(errs, field.Required(at.Child("limited"), "must not be empty when type is Limited").MarkCoveredByDeclarative())
		} else {
			errs = append(errs, validLimited(spec.Limited, at.Child("limited"))...)
		}
	default:
		errs = append(errs, unknownType(at.Child("type"), spec.Type, flowcontrol.PriorityLevelEnablementExempt, flowcontrol.PriorityLevelEnablementLimited))
	}
	return errs
}

func validLimited(l *flowcontrol.LimitedPriorityLevelConfiguration, at *field.Path) field.ErrorList {
	errs := validShares(&l.NominalConcurrencyShares, nil, at)
	errs = append(errs, validLimitResponse(l.LimitResponse, at.Child("limitResponse"))...)
	errs = append(errs, validShares(nil, l.LendablePercent, at)...)
	if b := l.BorrowingLimitPercent; b != nil && *b < 0 {
		errs = append(errs, field.Invalid(at.Child("borrowingLimitPercent"), *b, "if specified, must be a non-negative integer"))
	}
	return errs
}

// validShares wants shares of requests of at least 0, and of what may be lent a percentage.
func validShares(shares, lendable *int32, at *field.Path) (errs field.ErrorList) {
	if shares != nil && *shares < 0 {
		errs = append(errs, field.Invalid(at.Child("nominalConcurrencyShares"), *shares, "must be a non-negative integer"))
	}
	if lendable != nil && (*lendable < 0 || *lendable > 100) {
		errs = append(errs, field.Invalid(at.Child("lendablePercent"), *lendable, "must be between 0 and 100, inclusive"))
	}
	return errs
}

func validLimitResponse(r flowcontrol.LimitResponse, at *field.Path) (errs field.ErrorList) {
	queuing := at.Child("queuing")
	switch r.Type {
	case flowcontrol.LimitResponseTypeReject:
		if r.Queuing != nil {
			errs = append(errs, field.Forbidden(queuing, "must be nil if limited.limitResponse.type is not Limited").MarkCoveredByDeclarative())
		}
	case flowcontrol.LimitResponseTypeQueue:
		if r.Queuing == nil {
			return append(errs, field.Required(queuing, "must not be empty if limited.limitResponse.type is Limited").MarkCoveredByDeclarative())
		}
		errs = validQueues(r.Queuing, queuing)
	default:
		errs = append(errs, unknownType(at.Child("type"), r.Type, flowcontrol.LimitResponseTypeQueue, flowcontrol.LimitResponseTypeReject))
	}
	return errs
}

// mostQueues is how many queues a level may have.
const mostQueues = 10_000_000

// entropy is how many bits of a flow's hash may be spent on choosing its hand of queues.
const entropy = 60

func validQueues(q *flowcontrol.QueuingConfiguration, at *field.Path) (errs field.ErrorList) {
	bad := func(name string, value int32, format string, args ...any) {
		errs = append(errs, field.Invalid(at.Child(name), value, fmt.Sprintf(format, args...)))
	}
	if q.QueueLengthLimit <= 0 {
		bad("queueLengthLimit", q.QueueLengthLimit, "must be positive")
	}
	if q.Queues <= 0 {
		bad("queues", q.Queues, "must be positive")
	} else if q.Queues > mostQueues {
		bad("queues", q.Queues, "must not be greater than %d", mostQueues)
	}
	if q.HandSize <= 0 {
		bad("handSize", q.HandSize, "must be positive")
	} else if q.HandSize > q.Queues {
		bad("handSize", q.HandSize, "should not be greater than queues (%d)", q.Queues)
	} else if math.Ceil(math.Log2(float64(q.Queues))*float64(q.HandSize)) > entropy {
		bad("handSize", q.HandSize, "required entropy bits of deckSize %d and handSize %d should not be greater than %d", q.Queues, q.HandSize, entropy)
	}
	return errs
}

func validLevelStatus(p *flowcontrol.PriorityLevelConfiguration) field.ErrorList {
	return validConditionTypes(p.Status.Conditions, func(c flowcontrol.PriorityLevelConfigurationCondition) string { return string(c.Type) })
}

// unknownType is the error of a type that is none of known, which are sorted.
func unknownType[T ~string](at *field.Path, have T, known ...T) *field.Error {
	if have == "" {
		return field.Required(at, "").MarkCoveredByDeclarative()
	}
	return field.NotSupported(at, have, known)
}
