#include "schema/differences.h"

#include <algorithm>

#include "schema/registry.h"
#include "schema/yaml.h"

namespace trainctl {

namespace {

// Null and missing nodes are one and the same here.
bool absent(const Node* node) {
  return !node || node->is_null();
}

std::string text_of(const Node* node) {
  return absent(node) ? "(none)" : to_yaml_flow(*node);
}

class Comparison {
 public:
  std::vector<Difference> found;

  void value(const TypeInfo& type, const Node* a, const Node* b, const std::string& path, Resume resume) {
    if (absent(a) && absent(b)) return;
    switch (type.form) {
      case Form::optional:
        return value(*type.parts[0], a, b, path, resume);
      case Form::object:
        return sections(type.object(), a, b, path, resume);
      case Form::component:
        return components(type.kind, a, b, {}, path, resume);
      case Form::named:
        return each_key(a, b, path, [&](const Node* x, const Node* y, const std::string& key, const std::string& at) {
          components(type.kind, x, y, key, at, resume);
        });
      case Form::map:
        return each_key(a, b, path, [&](const Node* x, const Node* y, const std::string&, const std::string& at) {
          value(*type.parts[0], x, y, at, resume);
        });
      case Form::list:
        if (!absent(a) && !absent(b) && a->is_list() && b->is_list() && a->size() == b->size())
          return each_item(*a, *b, path, [&](const Node& x, const Node& y, const std::string& at) {
            value(*type.parts[0], &x, &y, at, resume);
          });
        break;
      case Form::raw:
        return trees(a, b, path, resume);
      default:
        break;
    }
    leaves(type, a, b, path, resume);
  }

 private:
  void add(const Node* a, const Node* b, const std::string& path, Resume resume) {
    found.push_back({path, text_of(a), text_of(b), resume});
  }

  void leaves(const TypeInfo& type, const Node* a, const Node* b, const std::string& path, Resume resume) {
    if (absent(a) || absent(b)) return add(a, b, path, resume);
    const Node x = canonical(type, *a);
    const Node y = canonical(type, *b);
    if (!(x == y)) add(&x, &y, path, resume);
  }

  template <typename Compare>
  void each_item(const Node& a, const Node& b, const std::string& path, Compare compare) {
    for (std::size_t i = 0; i < a.size(); ++i) compare(a.items()[i], b.items()[i], child_path(path, std::to_string(i)));
  }

  // Every key of either map, old ones first.
  template <typename Compare>
  void each_key(const Node* a, const Node* b, const std::string& path, Compare compare) {
    const Node none;
    const Node& x = a ? *a : none;
    const Node& y = b ? *b : none;
    for (const Node::Entry& entry : x.entries())
      compare(&entry.value, y.find(entry.key), entry.key, child_path(path, entry.key));
    for (const Node::Entry& entry : y.entries())
      if (!x.find(entry.key)) compare(nullptr, &entry.value, entry.key, child_path(path, entry.key));
  }

  void sections(const ObjectInfo& info, const Node* a, const Node* b, const std::string& path, Resume resume) {
    if (absent(a) || absent(b)) return add(a, b, path, resume);
    fields(info, *a, *b, path, resume);
  }

  void fields(const ObjectInfo& info, const Node& a, const Node& b, const std::string& path, Resume resume) {
    for (const FieldInfo& field : info.fields) {
      const Node* fallback = field.default_value ? &*field.default_value : nullptr;
      const Node* x = a.find(field.name);
      const Node* y = b.find(field.name);
      held(field, x ? x : fallback, y ? y : fallback, child_path(path, field.name), field.resume.value_or(resume));
    }
    each_key(&a, &b, path, [&](const Node* x, const Node* y, const std::string& key, const std::string& at) {
      if (!info.find(key) && key != "type") trees(x, y, at, resume);
    });
  }

  // A field's value, a raw one by the kind of component that it is said to hold.
  void held(const FieldInfo& field, const Node* a, const Node* b, const std::string& path, Resume resume) {
    const char* kind = field.holds_kind.c_str();
    const bool both = !absent(a) && !absent(b);
    if (field.holds_kind.empty() || !both) return value(*field.type, a, b, path, resume);
    if (field.holds_form == Form::component) return components(kind, a, b, {}, path, resume);
    if (field.holds_form == Form::map)
      return each_key(a, b, path, [&](const Node* x, const Node* y, const std::string&, const std::string& at) {
        components(kind, x, y, {}, at, resume);
      });
    if (a->is_list() && b->is_list() && a->size() == b->size())
      return each_item(*a, *b, path, [&](const Node& x, const Node& y, const std::string& at) {
        components(kind, &x, &y, {}, at, resume);
      });
    trees(a, b, path, resume);
  }

  static std::string type_of_component(const Node& node, const std::string& implied) {
    if (node.is_scalar()) return node.text();
    const Node* type = node.find("type");
    return type ? type->text() : implied;
  }

  void components(const char* kind_name, const Node* a, const Node* b, const std::string& implied,
                  const std::string& path, Resume resume) {
    if (absent(a) && absent(b)) return;
    if (absent(a) || absent(b)) return add(a, b, path, resume);
    const std::string type = type_of_component(*a, implied);
    if (type != type_of_component(*b, implied)) return add(a, b, path, resume);
    const ComponentInfo* info = kind(kind_name).find(type);
    if (info) return fields(info->object(), *a, *b, path, resume);
    trees(a, b, path, resume);
  }

  // Trees that no schema describes.
  void trees(const Node* a, const Node* b, const std::string& path, Resume resume) {
    if (absent(a) && absent(b)) return;
    if (absent(a) || absent(b)) return add(a, b, path, resume);
    const auto compare = [&](const Node& x, const Node& y, const std::string& at) { trees(&x, &y, at, resume); };
    if (a->is_map() && b->is_map())
      each_key(a, b, path, [&](const Node* x, const Node* y, const std::string&, const std::string& at) {
        trees(x, y, at, resume);
      });
    else if (a->is_list() && b->is_list() && a->size() == b->size())
      each_item(*a, *b, path, compare);
    else if (!a->is_scalar() || !b->is_scalar() || a->text() != b->text())
      add(a, b, path, resume);
  }
};

}  // namespace

std::vector<Difference> differences(const Node& old_spec, const Node& new_spec, const TypeInfo& root) {
  Comparison comparison;
  comparison.value(root, &old_spec, &new_spec, "", Resume::fixed);
  return std::move(comparison.found);
}

}  // namespace trainctl
