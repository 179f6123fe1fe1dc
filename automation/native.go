package automation

import (
	"fmt"
	"reflect"
)

func nativeList(v []any) (any, error) {
	out := make([]any, len(v))
	for i, x := range v {
		var err error
		if out[i], err = native(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func nativeMap(v map[string]any) (any, error) {
	out := make(map[string]any, len(v))
	for k, x := range v {
		var err error
		if out[k], err = native(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// nativeReflect takes the lists and maps of CEL, whose Go types depend on how
// the expression made them.
func nativeReflect(v any) (any, error) {
	rv := reflect.ValueOf(v)
	switch {
	case rv.Kind() == reflect.Slice:
		out := make([]any, rv.Len())
		for i := range out {
			var err error
			if out[i], err = native(rv.Index(i).Interface()); err != nil {
				return nil, err
			}
		}
		return out, nil
	case rv.Kind() == reflect.Map:
		out := make(map[string]any, rv.Len())
		for it := rv.MapRange(); it.Next(); {
			k, err := native(it.Key().Interface())
			if err != nil {
				return nil, err
			}
			name, ok := k.(string)
			if !ok {
				return nil, fmt.Errorf("a map with keys of type %T", k)
			}
			if out[name], err = native(it.Value().Interface()); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a result of type %T cannot be used as a value", v)
}
