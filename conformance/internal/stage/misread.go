package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Misread says why JSON cannot be read, in words of JSON and not of Go.
func Misread(err error) string {
	odd, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err.Error()
	}
	what := odd.Field
	if what == "" {
		what = "it"
	}
	got, _, _ := strings.Cut(odd.Value, " ") // as in "number 1.5"
	return fmt.Sprintf("%s is %s; expected %s", what, inJSON[got], wantedOf(odd.Type.Kind()))
}

// inJSON are the kinds of values, as package json calls them.
var inJSON = map[string]string{"string": "text", "number": "a number", "array": "a list", "object": "an object", "bool": "true or false"}

// wantedOf is the kind of value that is read into one of Go.
func wantedOf(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return inJSON["string"]
	case reflect.Bool:
		return inJSON["bool"]
	case reflect.Slice, reflect.Array:
		return inJSON["array"]
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return inJSON["object"]
	}
	return "a number that fits"
}
