package imds

import "github.com/fakeentra/fakeentra/internal/edge"

// loadBalancer answers with the form of Microsoft's sample. Rules of load
// balancers are not emulated, so there is an answer only for a machine that has a
// public address of its own.
func (s *Service) loadBalancer(r *edge.Request) (edge.Response, *refusal) {
	if _, no := versioned(r, since(loadBalancerSince)); no != nil {
		return edge.Response{}, no
	}
	host, _ := s.Host(r.Caller.Host)
	if host.Machine.PublicIP == "" {
		return edge.Response{}, because("no-load-balancer", "%s has no public address, and load balancers are not emulated; give its machine a public address", host.Name)
	}
	return answerJSON(r, appendJSON(nil, object{{"loadbalancer", "", object{
		{"publicIpAddresses", "", list{object{{"frontendIpAddress", "", host.Machine.PublicIP}, {"privateIpAddress", "", privateIP}}}},
		{"inboundRules", "", list{}},
		{"outboundRules", "", list{}},
	}}}, "")), nil
}
