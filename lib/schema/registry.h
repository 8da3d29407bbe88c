// Components found by kind and name. A file registers its own; modules loaded later do the same.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "schema/bind.h"

namespace trainctl {

/// One registered component, its type erased.
struct ComponentInfo {
  std::string name;
  std::string place;  ///< the file that registers it
  const ObjectInfo& (*object)() = nullptr;
  void* (*create)() = nullptr;                                 ///< a new object, as a pointer to its interface
  void* (*from_interface)(void* interface_pointer) = nullptr;  ///< the object itself
};

/// All components of one kind ("layer"), sorted by name.
class Kind {
 public:
  explicit Kind(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }
  /// Keeps a component. A second one of its name is a fault of the build, thrown by find() and components(): static
  /// initialisers must not throw.
  void add(ComponentInfo component);
  /// The component, or nullptr.
  const ComponentInfo* find(std::string_view name) const;
  std::vector<const ComponentInfo*> components() const;
  std::vector<std::string> names() const;

 private:
  void refuse_conflict() const;
  std::string name_;
  std::vector<std::unique_ptr<ComponentInfo>> components_;
  std::string conflict_;
};

/// The kind of that name, made when first asked for. One per process, modules included.
Kind& kind(std::string_view name);
/// Every kind that has components, sorted by name.
std::vector<const Kind*> kinds();
/// Every component of that name, of any kind.
std::vector<std::pair<const Kind*, const ComponentInfo*>> find_components(std::string_view name);

/// Components of an interface. `Interface::kind` is the kind's name: `static constexpr const char* kind = "layer"`.
/// Fields that all components of the interface share come from an optional
/// `template <typename T> static void common(Schema<T>&)` of the interface.
template <typename Interface>
struct Registry {
  static const Kind& kind() { return trainctl::kind(Interface::kind); }
  static std::unique_ptr<Interface> create(const ComponentInfo& info) {
    return std::unique_ptr<Interface>(static_cast<Interface*>(info.create()));
  }
};

/// Registers T under a name: `const Register<Layer, Conv2d> registered{"conv2d"};`
template <typename Interface, typename T>
struct Register {
  static_assert(std::has_virtual_destructor_v<Interface>, "components are owned through their interface");
  explicit Register(const char* name, const char* file = __builtin_FILE()) {
    ComponentInfo info{.name = name, .place = file, .object = &object_of<T>};
    info.create = []() -> void* { return static_cast<Interface*>(new T()); };
    info.from_interface = [](void* p) -> void* { return static_cast<T*>(static_cast<Interface*>(p)); };
    trainctl::kind(Interface::kind).add(std::move(info));
  }
};

namespace detail {
/// The component that a node (a bare word, or a map with `type`) names; null after noting an error. A missing type is
/// `implied_type`, unless that is empty.
const ComponentInfo* select_component(const Kind& kind, const Node& node, std::string_view implied_type,
                                      Diagnostics& diagnostics);
/// Reads a component's own fields.
void read_component(const ComponentInfo& info, void* object, const Node& node, Diagnostics& diagnostics);
Node write_component(const ComponentInfo& info, const void* object);
const ComponentInfo& require_component(const Kind& kind, std::string_view name);
/// "a layer", "an optimizer".
std::string with_article(std::string_view noun);
}  // namespace detail

/// An owned component of an interface: what a spec named, or nothing.
template <typename Interface>
class Component {
 public:
  Component() = default;
  /// The component of that name with every default; for default values of fields.
  explicit Component(const char* type) { make(detail::require_component(Registry<Interface>::kind(), type)); }
  /// A component of that name that was made already: an object of the very type that is registered.
  Component(const char* type, std::unique_ptr<Interface> made)
      : value_(std::move(made)), info_(&detail::require_component(Registry<Interface>::kind(), type)) {}

  Interface* get() const { return value_.get(); }
  Interface& operator*() const { return *value_; }
  Interface* operator->() const { return value_.get(); }
  explicit operator bool() const { return value_ != nullptr; }
  std::unique_ptr<Interface> release() { return std::move(value_); }

  const std::string& type() const { return info_ ? info_->name : none(); }
  const Source& source() const { return source_; }
  const ComponentInfo* info() const { return info_; }

  /// Reads a node as type_of<Component>().read does; `implied_type` stands in for a missing `type`.
  void read(const Node& node, std::string_view implied_type, Diagnostics& diagnostics) {
    source_ = node.source();
    const ComponentInfo* info = detail::select_component(Registry<Interface>::kind(), node, implied_type, diagnostics);
    if (!info) return;
    make(*info);
    detail::read_component(*info, object(), node, diagnostics);
  }
  Node write() const { return value_ ? detail::write_component(*info_, object()) : Node::null(); }
  void visit_live(const std::string& path, const TypeInfo::LiveVisitor& visitor) {
    if (value_) visit_live_object(info_->object(), object(), path, visitor);
  }

 private:
  static const std::string& none() {
    static const std::string empty;
    return empty;
  }
  void make(const ComponentInfo& info) {
    value_ = Registry<Interface>::create(info);
    info_ = &info;
  }
  void* object() const { return info_->from_interface(value_.get()); }

  std::unique_ptr<Interface> value_;
  const ComponentInfo* info_ = nullptr;
  Source source_;
};

/// Components by name in the order of the spec. In a spec a missing `type` is the name, and null switches one off; a
/// list of components stands for a map of their types, a second one of a type being called "<type>2".
template <typename Interface>
struct Named : OrderedMap<Component<Interface>> {};

template <typename Interface>
struct Bind<Component<Interface>> {
  using Value = Component<Interface>;
  static TypeInfo info() {
    TypeInfo info{.form = Form::component, .text = Interface::kind, .kind = Interface::kind};
    info.read = [](void* value, const Node& node, Diagnostics& d) { static_cast<Value*>(value)->read(node, {}, d); };
    info.write = [](const void* value) { return static_cast<const Value*>(value)->write(); };
    info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
      static_cast<Value*>(value)->visit_live(path, visitor);
    };
    detail::complete<Value>(info);
    return info;
  }
};

template <typename Interface>
struct Bind<Named<Interface>> {
  using Value = Named<Interface>;
  static TypeInfo info() {
    TypeInfo info = Bind<OrderedMap<Component<Interface>>>::info();
    info.form = Form::named;
    info.text = fmt::format("map of names to {}, or list", Interface::kind);
    info.kind = Interface::kind;
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      Value& target = *static_cast<Value*>(value);
      target.items.clear();
      if (node.is_list()) return read_list(target, node, d);
      if (!detail::expect_map(node, d)) return;
      for (const Node::Entry& entry : node.entries()) {
        if (entry.value.is_null()) continue;
        const Diagnostics::Scope scope(d, entry.key);
        target.items.emplace_back(entry.key, Component<Interface>{}).second.read(entry.value, entry.key, d);
      }
    };
    detail::complete<Value>(info);
    return info;
  }

 private:
  static void read_list(Value& target, const Node& list, Diagnostics& d) {
    std::map<std::string, int> known;
    for (std::size_t i = 0; i < list.items().size(); ++i) {
      const Diagnostics::Scope scope(d, std::to_string(i));
      Component<Interface> item;
      item.read(list.items()[i], {}, d);
      const int count = ++known[item.type()];
      const std::string name = count == 1 ? item.type() : item.type() + std::to_string(count);
      if (item) target.items.emplace_back(name, std::move(item));
    }
  }
};

}  // namespace trainctl
