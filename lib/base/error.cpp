#include "base/error.h"

namespace trainctl {

const char* name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return "internal";
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::config:
      return "config";
    case ErrorKind::data:
      return "data";
    case ErrorKind::diverged:
      return "diverged";
    case ErrorKind::environment:
      return "environment";
    case ErrorKind::interrupted:
      return "interrupted";
  }
  return "internal";
}

}  // namespace trainctl
