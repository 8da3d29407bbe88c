#include "schema/bind.h"

namespace trainctl {

template const TypeInfo& type_of<bool>();
template const TypeInfo& type_of<std::int64_t>();
template const TypeInfo& type_of<double>();
template const TypeInfo& type_of<std::string>();
template const TypeInfo& type_of<Live>();
template const TypeInfo& type_of<Progress>();
template const TypeInfo& type_of<Path>();
template const TypeInfo& type_of<Node>();
template const TypeInfo& type_of<std::optional<bool>>();
template const TypeInfo& type_of<std::optional<std::int64_t>>();
template const TypeInfo& type_of<std::optional<double>>();
template const TypeInfo& type_of<std::optional<std::string>>();
template const TypeInfo& type_of<std::optional<std::vector<std::string>>>();
template const TypeInfo& type_of<std::optional<Progress>>();
template const TypeInfo& type_of<std::vector<std::string>>();
template const TypeInfo& type_of<std::vector<std::int64_t>>();
template const TypeInfo& type_of<std::vector<double>>();
template const TypeInfo& type_of<Pair<std::int64_t>>();

}  // namespace trainctl
