// Which C++ types a parameter may have: type_of<X>() describes one. Templates stay thin and hand over to type.h.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "schema/type.h"
#include "schema/values.h"

namespace trainctl {

template <typename T>
class Schema;

/// Describes X as the type of a parameter. Specialise Bind<X> for a type of your own.
template <typename X>
struct Bind;
template <typename X>
const TypeInfo& type_of() {
  static const TypeInfo info = Bind<X>::info();
  return info;
}

namespace detail {

// Leaf types, read and written in leaf.cpp.
void read_leaf(bool& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(std::int64_t& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(double& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(std::string& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(Reference& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(Live& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(Progress& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(WallTime& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(Path& value, const Node& node, Diagnostics& diagnostics);
void read_leaf(Node& value, const Node& node, Diagnostics& diagnostics);
Node write_leaf(bool value);
Node write_leaf(std::int64_t value);
Node write_leaf(double value);
Node write_leaf(const std::string& value);
Node write_leaf(const Reference& value);
Node write_leaf(const Live& value);
Node write_leaf(const Progress& value);
Node write_leaf(const WallTime& value);
Node write_leaf(const Path& value);
Node write_leaf(const Node& value);

/// Index of the choice that the node names, or -1 after noting an error.
int read_choice(const std::vector<std::string>& choices, const Node& node, Diagnostics& diagnostics);
/// The items of a list of exactly `count`; null after noting an error.
const Node* read_tuple(std::size_t count, const Node& node, Diagnostics& diagnostics);
/// Notes an error and is false unless the node is a map (null counts as an empty one).
bool expect_map(const Node& node, Diagnostics& diagnostics);
/// Which alternative reads the node without fault; -1 after noting an error.
int select_variant(const TypeInfo& variant, const Node& node, Diagnostics& diagnostics);
std::string variant_text(const std::vector<const TypeInfo*>& parts);

template <typename X>
void complete(TypeInfo& info) {
  info.create = []() -> void* { return new X(); };
  info.destroy = [](void* value) { delete static_cast<X*>(value); };
}

template <typename X>
TypeInfo leaf(Form form, const char* text) {
  TypeInfo info{.form = form, .text = text};
  info.read = [](void* value, const Node& node, Diagnostics& d) { read_leaf(*static_cast<X*>(value), node, d); };
  info.write = [](const void* value) { return write_leaf(*static_cast<const X*>(value)); };
  complete<X>(info);
  return info;
}

template <typename X>
void read(X& value, const Node& node, Diagnostics& diagnostics) {
  if (!node.is_faulty()) type_of<X>().read(&value, node, diagnostics);
}
template <typename X>
Node write(const X& value) {
  return type_of<X>().write(&value);
}
template <typename X>
void visit(X& value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
  if (const auto visit_live = type_of<X>().visit_live) visit_live(&value, path, visitor);
}

template <typename X>
concept HasSchema = requires {
  X::schema();
};

}  // namespace detail

template <>
struct Bind<bool> {
  static TypeInfo info() { return detail::leaf<bool>(Form::boolean, "boolean"); }
};
template <>
struct Bind<std::int64_t> {
  static TypeInfo info() { return detail::leaf<std::int64_t>(Form::integer, "integer"); }
};
template <>
struct Bind<double> {
  static TypeInfo info() { return detail::leaf<double>(Form::number, "number"); }
};
template <>
struct Bind<std::string> {
  static TypeInfo info() { return detail::leaf<std::string>(Form::string, "text"); }
};
template <>
struct Bind<Reference> {
  static TypeInfo info() { return detail::leaf<Reference>(Form::string, "text"); }
};
template <>
struct Bind<Progress> {
  static TypeInfo info() { return detail::leaf<Progress>(Form::progress, "progress"); }
};
template <>
struct Bind<WallTime> {
  static TypeInfo info() { return detail::leaf<WallTime>(Form::wall_time, "wall time"); }
};
template <>
struct Bind<Path> {
  static TypeInfo info() { return detail::leaf<Path>(Form::path, "path"); }
};
template <>
struct Bind<Node> {
  static TypeInfo info() { return detail::leaf<Node>(Form::raw, "any"); }
};
template <>
struct Bind<Live> {
  static TypeInfo info() {
    TypeInfo info = detail::leaf<Live>(Form::live, "number");
    info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
      visitor(*static_cast<Live*>(value), path);
    };
    return info;
  }
};

template <typename E>
requires std::is_enum_v<E>
struct Bind<E> {
  static TypeInfo info() {
    TypeInfo info{.form = Form::choice};
    for (const auto& entry : EnumNames<E>::names) {
      info.text += (info.text.empty() ? "" : " | ") + std::string(entry.name);
      info.choices.emplace_back(entry.name);
    }
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      const int index = detail::read_choice(type_of<E>().choices, node, d);
      if (index >= 0) *static_cast<E*>(value) = EnumNames<E>::names[index].value;
    };
    info.write = [](const void* value) {
      for (const auto& entry : EnumNames<E>::names)
        if (entry.value == *static_cast<const E*>(value)) return Node::scalar(entry.name);
      return Node::null();
    };
    detail::complete<E>(info);
    return info;
  }
};

template <typename X>
struct Bind<std::optional<X>> {
  using Value = std::optional<X>;
  static TypeInfo info() {
    const TypeInfo& element = type_of<X>();
    TypeInfo info{.form = Form::optional, .text = element.text, .parts = {&element}};
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      Value& target = *static_cast<Value*>(value);
      if (node.is_null())
        target.reset();
      else
        detail::read(target.emplace(), node, d);
    };
    info.write = [](const void* value) {
      const Value& source = *static_cast<const Value*>(value);
      return source ? detail::write(*source) : Node::null();
    };
    if (element.visit_live) {
      info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
        if (Value& target = *static_cast<Value*>(value)) detail::visit(*target, path, visitor);
      };
    }
    detail::complete<Value>(info);
    return info;
  }
};

template <typename X>
struct Bind<std::vector<X>> {
  using Value = std::vector<X>;
  static TypeInfo info() {
    const TypeInfo& element = type_of<X>();
    TypeInfo info{.form = Form::list, .text = "list of " + element.text, .parts = {&element}};
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      Value& target = *static_cast<Value*>(value);
      target.clear();
      if (!node.is_list()) return detail::read(target.emplace_back(), node, d);
      for (const Node& item : node.items()) {
        const Diagnostics::Scope scope(d, target.size());
        detail::read(target.emplace_back(), item, d);
      }
    };
    info.write = [](const void* value) {
      Node list = Node::list();
      for (const X& item : *static_cast<const Value*>(value)) list.push_back(detail::write(item));
      return list;
    };
    if (element.visit_live) {
      info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
        std::size_t index = 0;
        for (X& item : *static_cast<Value*>(value))
          detail::visit(item, child_path(path, std::to_string(index++)), visitor);
      };
    }
    detail::complete<Value>(info);
    return info;
  }
};

template <typename X>
struct Bind<Pair<X>> {
  using Value = Pair<X>;
  static TypeInfo info() {
    const TypeInfo& element = type_of<X>();
    TypeInfo info{.form = Form::pair,
                  .text = element.text + " or [" + element.text + ", " + element.text + "]",
                  .parts = {&element}};
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      Value& target = *static_cast<Value*>(value);
      if (node.is_list()) {
        const Node* items = detail::read_tuple(2, node, d);
        if (!items) return;
        detail::read(target.first, items[0], d);
        detail::read(target.second, items[1], d);
      } else {
        detail::read(target.first, node, d);
        target.second = target.first;
      }
    };
    info.write = [](const void* value) {
      const Value& source = *static_cast<const Value*>(value);
      if (source.first == source.second) return detail::write(source.first);
      Node list = Node::list();
      list.push_back(detail::write(source.first));
      list.push_back(detail::write(source.second));
      return list;
    };
    detail::complete<Value>(info);
    return info;
  }
};

/// Fixed lists: std::pair<A, B>, std::array<X, N>.
template <typename Value, typename... X>
struct BindTuple {
  static TypeInfo info() {
    TypeInfo info{.form = Form::tuple, .text = "[", .parts = {&type_of<X>()...}};
    for (const TypeInfo* part : info.parts) info.text += (info.text == "[" ? "" : ", ") + part->text;
    info.text += "]";
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      const Node* items = detail::read_tuple(sizeof...(X), node, d);
      if (items) read_each(*static_cast<Value*>(value), items, d, std::index_sequence_for<X...>{});
    };
    info.write = [](const void* value) {
      return write_each(*static_cast<const Value*>(value), std::index_sequence_for<X...>{});
    };
    detail::complete<Value>(info);
    return info;
  }

 private:
  template <std::size_t... I>
  static void read_each(Value& value, const Node* items, Diagnostics& d, std::index_sequence<I...>) {
    (detail::read(std::get<I>(value), items[I], d), ...);
  }
  template <std::size_t... I>
  static Node write_each(const Value& value, std::index_sequence<I...>) {
    Node list = Node::list();
    (list.push_back(detail::write(std::get<I>(value))), ...);
    return list;
  }
};
template <typename A, typename B>
struct Bind<std::pair<A, B>> : BindTuple<std::pair<A, B>, A, B> {};
template <typename X, typename Indices>
struct BindArray;
template <typename X, std::size_t... I>
struct BindArray<X, std::index_sequence<I...>>
    : BindTuple<std::array<X, sizeof...(I)>, std::enable_if_t<(I < sizeof...(I)), X>...> {};
template <typename X, std::size_t N>
struct Bind<std::array<X, N>> : BindArray<X, std::make_index_sequence<N>> {};

template <typename... X>
struct Bind<std::variant<X...>> {
  using Value = std::variant<X...>;
  static TypeInfo info() {
    TypeInfo info{.form = Form::variant, .parts = {&type_of<X>()...}};
    info.text = detail::variant_text(info.parts);
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      const int index = detail::select_variant(type_of<Value>(), node, d);
      if (index >= 0) read_as(*static_cast<Value*>(value), index, node, d, std::index_sequence_for<X...>{});
    };
    info.write = [](const void* value) {
      return std::visit([](const auto& held) { return detail::write(held); }, *static_cast<const Value*>(value));
    };
    detail::complete<Value>(info);
    return info;
  }

 private:
  template <std::size_t... I>
  static void read_as(Value& value, int index, const Node& node, Diagnostics& d, std::index_sequence<I...>) {
    ((index == static_cast<int>(I) ? detail::read(value.template emplace<I>(), node, d) : void()), ...);
  }
};

template <typename X>
struct Bind<OrderedMap<X>> {
  using Value = OrderedMap<X>;
  static TypeInfo info() {
    const TypeInfo& element = type_of<X>();
    TypeInfo info{.form = Form::map, .text = "map of names to " + element.text, .parts = {&element}};
    info.read = [](void* value, const Node& node, Diagnostics& d) {
      Value& target = *static_cast<Value*>(value);
      target.items.clear();
      if (!detail::expect_map(node, d)) return;
      for (const Node::Entry& entry : node.entries()) {
        const Diagnostics::Scope scope(d, entry.key);
        target.items.emplace_back(entry.key, X{});
        detail::read(target.items.back().second, entry.value, d);
      }
    };
    info.write = [](const void* value) {
      Node map = Node::map();
      for (const auto& [name, item] : *static_cast<const Value*>(value)) map.append(name, detail::write(item));
      return map;
    };
    if (element.visit_live) {
      info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
        for (auto& [name, item] : *static_cast<Value*>(value)) detail::visit(item, child_path(path, name), visitor);
      };
    }
    detail::complete<Value>(info);
    return info;
  }
};

// What many components have is compiled once, in bind.cpp.
extern template const TypeInfo& type_of<bool>();
extern template const TypeInfo& type_of<std::int64_t>();
extern template const TypeInfo& type_of<double>();
extern template const TypeInfo& type_of<std::string>();
extern template const TypeInfo& type_of<Live>();
extern template const TypeInfo& type_of<Progress>();
extern template const TypeInfo& type_of<Path>();
extern template const TypeInfo& type_of<Node>();
extern template const TypeInfo& type_of<std::optional<bool>>();
extern template const TypeInfo& type_of<std::optional<std::int64_t>>();
extern template const TypeInfo& type_of<std::optional<double>>();
extern template const TypeInfo& type_of<std::optional<std::string>>();
extern template const TypeInfo& type_of<std::optional<std::vector<std::string>>>();
extern template const TypeInfo& type_of<std::optional<Progress>>();
extern template const TypeInfo& type_of<std::vector<std::string>>();
extern template const TypeInfo& type_of<std::vector<std::int64_t>>();
extern template const TypeInfo& type_of<std::vector<double>>();
extern template const TypeInfo& type_of<Pair<std::int64_t>>();

/// The fields of a struct with `static Schema<T> schema()`; built when first asked for.
template <detail::HasSchema T>
const ObjectInfo& object_of();

template <detail::HasSchema T>
struct Bind<T> {
  static TypeInfo info() {
    TypeInfo info{.form = Form::object, .text = "map", .object = &object_of<T>};
    info.read = [](void* value, const Node& node, Diagnostics& d) { read_object(object_of<T>(), value, node, d); };
    info.write = [](const void* value) { return write_object(object_of<T>(), value); };
    info.visit_live = [](void* value, const std::string& path, const TypeInfo::LiveVisitor& visitor) {
      visit_live_object(object_of<T>(), value, path, visitor);
    };
    detail::complete<T>(info);
    return info;
  }
};

}  // namespace trainctl
