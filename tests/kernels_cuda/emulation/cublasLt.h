// Stands in for cuBLASLt's header, of which kernels/cuda/cublaslt.h only needs the stream; see product.cpp.
#pragma once

#include <cuda_runtime_api.h>
