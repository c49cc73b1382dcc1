"""What a project's views are made of: reads, plain views, writes, their bodies, and the 503."""

from resilience.answers.views import ResilientView as ResilientView
from resilience.answers.views import resilient as resilient
