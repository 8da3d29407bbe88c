// Versions of the libraries that a build uses, each told by the file that wraps it.
#pragma once

#include <map>
#include <string>

namespace trainctl {

/// Name to version of every library registered so far, modules' included.
std::map<std::string, std::string>& libraries();

/// const RegisterLibrary hdf5{"HDF5", H5_VERS_INFO};
struct RegisterLibrary {
  RegisterLibrary(const char* name, std::string version) { libraries().emplace(name, std::move(version)); }
};

}  // namespace trainctl
