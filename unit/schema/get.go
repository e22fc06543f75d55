package schema

import "time"

// String is the value of a String or Enum key, or of a Union that holds one.
func (d *Doc) String(key string) string { return get[string](d, key) }

// Int is the value of an Int key.
func (d *Doc) Int(key string) int64 { return get[int64](d, key) }

// Bool is the value of a Bool key, otherwise when it is not there.
func (d *Doc) Bool(key string, otherwise bool) bool {
	if b, ok := d.values[key].(bool); ok {
		return b
	}
	return otherwise
}

// Duration is the value of a Duration key.
func (d *Doc) Duration(key string) time.Duration { return get[time.Duration](d, key) }

// Size is the value of a Size key in bytes.
func (d *Doc) Size(key string) int64 { return int64(get[Bytes](d, key)) }

// List is the value of a List key.
func (d *Doc) List(key string) []string { return get[[]string](d, key) }

// Map is the value of a Map key.
func (d *Doc) Map(key string) map[string]string { return get[map[string]string](d, key) }

// Table is the value of a Table key; an empty table when it is not there.
func (d *Doc) Table(key string) *Doc {
	if t := get[*Doc](d, key); t != nil {
		return t
	}
	return &Doc{file: d.file, path: join(d.path, key), shown: d.shown + key + ".", places: d.places}
}

// Tables is the value of a Tables key.
func (d *Doc) Tables(key string) []*Doc { return get[[]*Doc](d, key) }

// Value is the value of a Union key as the getters know it: string, int64,
// bool, time.Duration, Bytes, []string, map[string]string, *Doc, []*Doc; nil
// when it is not there.
func (d *Doc) Value(key string) any { return d.values[key] }

func get[T any](d *Doc, key string) T {
	v, _ := d.values[key].(T)
	return v
}
