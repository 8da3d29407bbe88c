#include "data/host_bytes.h"

#include <sys/mman.h>

#include "base/error.h"

namespace trainctl {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

}  // namespace

HostBytes::HostBytes(std::size_t size, bool whole_pages) : size_(size) {
  const bool large = size >= 2 * huge_page_bytes;
  const std::size_t align = large ? huge_page_bytes : whole_pages ? page_bytes : alignment;
  if (size > SIZE_MAX - align) fail(ErrorKind::environment, "out of memory: {} bytes were asked for", size);
  const std::size_t rounded = (size + align - 1) / align * align;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(align, rounded > 0 ? rounded : align)));
  if (!data_) fail(ErrorKind::environment, "out of memory: {:.1f} MiB of data do not fit", size / 1048576.0);
  if (large) madvise(data_.get(), rounded, MADV_HUGEPAGE);  // a hint: its failure changes nothing but speed
}

}  // namespace trainctl
