package job

import (
	"slices"
	"strconv"
	"strings"
)

// indexes is a sorted set of completion indexes. Its text, in a Job's status, is "1,3-5,7".
type indexes []int

// parseIndexes reads the text; what is none of the first n indexes is left out.
func parseIndexes(text string, n int) (out indexes) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(last); err != nil {
				continue
			}
		}
		for i := max(a, 0); i <= min(b, n-1); i++ {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// with returns the set with more in it. One at a time is for few: whoever has many gives them at once.
func (x indexes) with(more ...int) indexes {
	if !slices.ContainsFunc(more, func(i int) bool { return !x.has(i) }) {
		return x
	}
	all := slices.Concat(x, indexes(more))
	slices.Sort(all)
	return slices.Compact(all)
}

func (x indexes) has(i int) bool {
	_, found := slices.BinarySearch(x, i)
	return found
}

// String joins three and more in a row, and two, with a dash or a comma as upstream does it.
func (x indexes) String() string {
	var parts []string
	for i := 0; i < len(x); {
		k := i
		for k+1 < len(x) && x[k+1] == x[k]+1 {
			k++
		}
		switch {
		case k == i:
			parts = append(parts, strconv.Itoa(x[i]))
		case k == i+1:
			parts = append(parts, strconv.Itoa(x[i]), strconv.Itoa(x[k]))
		default:
			parts = append(parts, strconv.Itoa(x[i])+"-"+strconv.Itoa(x[k]))
		}
		i = k + 1
	}
	return strings.Join(parts, ",")
}
