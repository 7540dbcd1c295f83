package file

import (
	"fmt"
	"reflect"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// SameConfig compares a Config with what a format gives back of it, and names the fields that the
// format cannot express.
func SameConfig(want, back arch.Config) error {
	check := setting.NewChecks("Config")
	w, b := reflect.ValueOf(want), reflect.ValueOf(back)
	for i, f := range reflect.VisibleFields(w.Type()) {
		same := reflect.DeepEqual(w.Field(i).Interface(), b.Field(i).Interface())
		check.That(same, f.Name, w.Field(i), fmt.Sprintf("%v: the format cannot express another value", b.Field(i)))
	}
	return check.Err()
}
