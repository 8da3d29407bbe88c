// Division by a number that the host knows.
#pragma once

#include <cstdint>

namespace trainctl::cuda {

/// Quotients of numbers below 2^31 by a divisor from 1 to 2^31 - 1, by a multiplication (Granlund & Montgomery, 1994).
class Divider {
 public:
  Divider() : Divider(1) {}
  explicit Divider(std::int64_t divisor) : divisor_(static_cast<std::uint32_t>(divisor)) {
    while ((std::uint64_t{1} << shift_) < divisor_) ++shift_;
    const std::uint64_t excess = (std::uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<std::uint32_t>((excess << 32) / divisor_ + 1);
  }
  __device__ std::uint32_t divisor() const { return divisor_; }
  __device__ std::uint32_t quotient(std::uint32_t n) const { return (__umulhi(n, multiplier_) + n) >> shift_; }
  /// Gives the quotient, and makes n the remainder.
  __device__ std::uint32_t split(std::uint32_t& n) const {
    const std::uint32_t q = quotient(n);
    n -= q * divisor_;
    return q;
  }

 private:
  std::uint32_t divisor_, multiplier_ = 1, shift_ = 0;
};

}  // namespace trainctl::cuda
