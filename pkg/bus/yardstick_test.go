package bus_test

import "testing"

func TestYardsticksFollowEachOther(t *testing.T) {
	t.Parallel()
	c := setup(t, nil)
	for _, n := range []int{2000, 1000, 3000} { // what one leaves would be counted by the next
		if took, err := c.Yardstick(t.Context(), n, 500); err != nil || took <= 0 {
			t.Fatalf("%v, %v", took, err)
		}
	}
}
