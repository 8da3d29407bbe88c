// Schema<T> binds the fields of a spec to the members of a struct. Reading, `describe`, the JSON Schema and the
// reference docs all come from it:
//
//   struct Conv2d final : Layer {
//     std::int64_t out_channels = 0;
//     double eps = 1e-5;
//     static Schema<Conv2d> schema() {
//       return Schema<Conv2d>("Slide filters over an image.")
//           .required("out_channels", &Conv2d::out_channels, at_least(1), "Number of filters.")
//           .field("eps", &Conv2d::eps, above(0.0), "Added to the variance.", resume(Resume::forced))
//           .example("{type: conv2d, out_channels: 32}");
//     }
//   };
//   const Register<Layer, Conv2d> registered{"conv2d"};
//
// Defaults are those of a default-constructed T. A T may also have `void check(Diagnostics&, const Node&) const` for
// what concerns several fields; it is called when each field alone is right. And it may have `void link(Diagnostics&)`
// to connect fields that name each other; it is called when all have been read, right or wrong.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "schema/bind.h"
#include "schema/registry.h"
#include "schema/type.h"

namespace trainctl {

/// What `.field()` takes after the member, in any order: a line of documentation (a text), constraints, options.
struct FieldOption {
  FieldOption(const char* doc) : apply([doc](FieldInfo& f) { f.doc = doc; }) {}            // NOLINT: meant to convert
  FieldOption(std::string doc) : apply([doc](FieldInfo& f) { f.doc = doc; }) {}            // NOLINT
  FieldOption(Constraint c) : apply([c](FieldInfo& f) { f.constraints.push_back(c); }) {}  // NOLINT
  explicit FieldOption(std::function<void(FieldInfo&)> change) : apply(std::move(change)) {}
  std::function<void(FieldInfo&)> apply;
};

inline Constraint at_least(double bound) {
  return {Constraint::Rule::at_least, bound};
}
inline Constraint at_most(double bound) {
  return {Constraint::Rule::at_most, bound};
}
inline Constraint above(double bound) {
  return {Constraint::Rule::above, bound};
}
inline Constraint below(double bound) {
  return {Constraint::Rule::below, bound};
}
/// Both ends included.
inline FieldOption between(double low, double high) {
  return FieldOption([=](FieldInfo& f) { f.constraints.insert(f.constraints.end(), {at_least(low), at_most(high)}); });
}
inline Constraint one_of(std::vector<std::string> names) {
  return {Constraint::Rule::one_of, 0.0, std::move(names)};
}
/// A text, list or map with something in it.
inline Constraint non_empty() {
  return {Constraint::Rule::non_empty};
}
/// Lets `.inf` and `.nan` through, which are refused otherwise.
inline Constraint allow_nonfinite() {
  return {Constraint::Rule::allow_nonfinite};
}

inline FieldOption unit(const char* text) {
  return FieldOption([text](FieldInfo& f) { f.unit = text; });
}
inline FieldOption resume(Resume what) {
  return FieldOption([what](FieldInfo& f) { f.resume = what; });
}
/// For a raw Node that its owner reads itself: what is found inside, for editors and for the comparison of specs.
inline FieldOption holds_list(const char* kind) {
  return FieldOption([kind](FieldInfo& f) { f.holds_kind = kind, f.holds_form = Form::list; });
}
inline FieldOption holds_map(const char* kind) {
  return FieldOption([kind](FieldInfo& f) { f.holds_kind = kind, f.holds_form = Form::map; });
}
inline FieldOption holds_component(const char* kind) {
  return FieldOption([kind](FieldInfo& f) { f.holds_kind = kind, f.holds_form = Form::component; });
}

template <typename T>
class Schema {
 public:
  explicit Schema(const char* doc) { info_.doc = doc; }

  /// A field that may be left out; T's own initial value is the default.
  template <typename M, typename U, typename... Options>
  Schema& field(const char* name, M U::*member, Options&&... options) {
    return add<M>(name, member, false, {FieldOption(std::forward<Options>(options))...});
  }
  /// A field that must be given.
  template <typename M, typename U, typename... Options>
  Schema& required(const char* name, M U::*member, Options&&... options) {
    return add<M>(name, member, true, {FieldOption(std::forward<Options>(options))...});
  }
  /// A key whose feature is not built yet: refused with a message of its own.
  Schema& later(const char* name, const char* what) {
    info_.later.push_back({name, what});
    return *this;
  }
  Schema& example(const char* yaml) {
    info_.examples.emplace_back(yaml);
    return *this;
  }
  /// Of these fields at least one must be given; check() says so to the user, this to the JSON Schema.
  Schema& at_least_one_of(std::vector<std::string> names) {
    info_.at_least_one.push_back(std::move(names));
    return *this;
  }
  /// A condition on several fields: check(const T&, Diagnostics&, const Node&).
  template <typename Check>
  Schema& check(Check check) {
    info_.checks.emplace_back([check](const void* object, Diagnostics& diagnostics, const Node& node) {
      check(*static_cast<const T*>(object), diagnostics, node);
    });
    return *this;
  }

  /// The erased description; what object_of<T>() keeps.
  ObjectInfo finish() && {
    if constexpr (requires(const T& t, Diagnostics& d, const Node& n) { t.check(d, n); }) {
      check([](const T& object, Diagnostics& diagnostics, const Node& node) { object.check(diagnostics, node); });
    }
    if constexpr (requires(T & t, Diagnostics & d) { t.link(d); })
      info_.link = [](void* object, Diagnostics& diagnostics) { static_cast<T*>(object)->link(diagnostics); };
    return std::move(info_);
  }

 private:
  template <typename M, typename U>
  Schema& add(const char* name, M U::*member, bool required, std::initializer_list<FieldOption> options) {
    static_assert(std::is_base_of_v<U, T>, "the member belongs to another struct");
    const void* place = &(defaults_.get()->*member);
    add_field(info_, FieldInfo{.name = name, .doc = {}, .type = &type_of<M>(), .required = required}, defaults_.get(),
              place, options);
    return *this;
  }

  ObjectInfo info_;
  std::shared_ptr<T> defaults_ = std::make_shared<T>();
};

/// Adds a field whose member lies at `member` inside `object`, a default-constructed one.
void add_field(ObjectInfo& info, FieldInfo field, const void* object, const void* member,
               std::initializer_list<FieldOption> options);

template <detail::HasSchema T>
const ObjectInfo& object_of() {
  static const ObjectInfo info = [] {
    Schema<T> schema = T::schema();
    if constexpr (requires { T::common(schema); }) T::common(schema);
    return std::move(schema).finish();
  }();
  return info;
}

/// Reads `node` into `target`. Errors go to `diagnostics`, whose path is where the node stands in the spec.
template <typename T>
void read(T& target, const Node& node, Diagnostics& diagnostics) {
  const std::string path = diagnostics.path();
  type_of<T>().read(&target, node, diagnostics);
  detail::visit(target, path, [](Live& live, const std::string& at) {
    if (live.name.empty()) live.path = at;
  });
}

/// Reads a whole tree; throws ConfigError with every error.
template <typename T>
T parse(const Node& root) {
  T target{};
  Diagnostics diagnostics;
  read(target, root, diagnostics);
  diagnostics.throw_if_any();
  return target;
}

/// The value as a spec that reads back as it: complete with defaults, paths absolute, secrets unrevealed.
template <typename T>
Node write(const T& value) {
  return type_of<T>().write(&value);
}

/// Calls visitor(Live&, path) for every number below `value` that a policy may drive.
template <typename T>
void visit_live(T& value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
  detail::visit(value, path, visitor);
}

}  // namespace trainctl
